"""The parameters of a sweep: values to choose among, and ranges."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from lightning_gen.errors import UserError

Plain = None | bool | int | float | str
"""What a study keeps as a value; a list or a mapping is kept as its JSON text."""

RANGE = ("low", "high", "log", "step")


@dataclass(frozen=True)
class Choice:
    """A list of values, of any kind that YAML has."""

    values: tuple[Plain, ...]

    @property
    def distribution(self) -> BaseDistribution:
        """What Optuna draws from."""
        return CategoricalDistribution(self.values)


@dataclass(frozen=True)
class Range:
    """Numbers from ``low`` to ``high``, both included; whole numbers where both are."""

    low: float
    high: float
    log: bool = False
    step: float | None = None

    @property
    def whole(self) -> bool:
        """Only whole numbers are drawn."""
        return all(isinstance(n, int) for n in (self.low, self.high, self.step or 1))

    @property
    def distribution(self) -> BaseDistribution:
        """What Optuna draws from."""
        if self.whole:
            low, high, step = int(self.low), int(self.high), int(self.step or 1)
            return IntDistribution(low, high, log=self.log, step=step)
        return FloatDistribution(self.low, self.high, log=self.log, step=self.step)


Parameter = Choice | Range


def read_parameter(content: object) -> Parameter:
    """The parameter that a sweep file writes as a list or as ``{low: 1, high: 9}``.

    Raises:
        UserError: it is neither, or has no values.
    """
    if isinstance(content, Mapping):
        return _read_range(dict(content))
    if not isinstance(content, list):
        raise UserError(
            "expected a list of values or a range such as {low: 0.001, high: 0.1, log: true}, "
            f"got {content!r}. Write one value as [{content}]."
        )
    if not content:
        raise UserError("expected at least one value, got none. Write for instance [2, 10].")
    values = [plain(value) for value in content]
    for place, value in enumerate(values):
        if value in values[:place]:
            raise UserError(f"{word(value)} stands twice in the list. Leave one out.")
    return Choice(tuple(values))


def _read_range(content: dict[Any, Any]) -> Range:
    """A range, every fault of which would otherwise be a traceback of Optuna."""
    unknown = [key for key in content if key not in RANGE]
    missing = [key for key in RANGE[:2] if key not in content]
    if unknown or missing:
        raise UserError(
            f"a range has {', '.join(RANGE)}, of which low and high are needed, "
            f"got {', '.join(map(str, content))}. Write for instance {{low: 2, high: 100}}."
        )
    for key in ("low", "high", "step"):
        value = content.get(key, 1)
        if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
            raise UserError(f"{key}: expected a number, got {value!r}.")
    found = Range(**content)
    if not found.low < found.high < math.inf:
        raise UserError(f"low is less than high, got low {found.low} and high {found.high}.")
    if not isinstance(found.log, bool):
        raise UserError(f"log: expected true or false, got {found.log!r}.")
    if found.log and (found.low <= 0 or found.step is not None):
        raise UserError("a range with log: true starts above 0 and has no step. Mend low or step.")
    if found.step is not None and found.step <= 0:
        raise UserError(f"step: expected a number above 0, got {found.step}.")
    return found


def plain(value: object) -> Plain:
    """A value as a study keeps it.

    Raises:
        UserError: it is no plain value.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    try:
        return json.dumps(value)
    except TypeError as error:
        raise UserError(
            f"expected numbers, texts, lists and mappings, got {value!r}. Put it in quotes."
        ) from error


def word(value: Plain) -> str:
    """A value as the command line of ``fit`` writes it."""
    return value if isinstance(value, str) else json.dumps(value)


def short_names(keys: list[str]) -> dict[str, str]:
    """The last part of each key; the whole key where two would be the same."""
    last = [key.rpartition(".")[2] for key in keys]
    return {k: name if last.count(name) == 1 else k for k, name in zip(keys, last, strict=True)}
