"""The table of published results: each with the experiment that is to reach it."""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any, Literal

from jsonargparse import ArgumentParser

from lightning_gen.allowed import enforced
from lightning_gen.errors import UserError
from lightning_gen.yaml_file import read_yaml

CPU = Literal["minutes on a CPU", "an hour on a CPU", "hours on a CPU"]
Tier = Literal[CPU, "minutes on a GPU", "hours on a GPU"]


@dataclass(frozen=True)
class TargetScore:
    """One number of a target.

    Of several ``metrics``, names of cards in ``metrics.json``, the better one counts. ``published``
    is the value of the source, or its least and its greatest one; its worse end may be missed by
    the ``tolerance``, which is in the metric's unit.
    """

    metrics: str | list[str]
    published: float | tuple[float, float]
    better: Literal["lower", "higher"]
    tolerance: float = 0.0
    unit: str = ""

    @property
    def names(self) -> list[str]:
        """The metrics."""
        return [self.metrics] if isinstance(self.metrics, str) else self.metrics

    @property
    def range(self) -> tuple[float, float]:
        """The least and the greatest published value."""
        single = isinstance(self.published, int | float)
        return (self.published, self.published) if single else self.published  # type: ignore[return-value]

    @property
    def bound(self) -> float:
        """The value that must be reached: of a range of published values the worse end."""
        low, high = self.range
        return high + self.tolerance if self.better == "lower" else low - self.tolerance

    def reached(self, value: float) -> bool:
        """Whether a measured value is as good as asked."""
        return value <= self.bound if self.better == "lower" else value >= self.bound


@dataclass(frozen=True)
class Target:
    """A row of the table.

    Attributes:
        source: the paper, and the table in it.
        setting: that of the source.
        tier: what it costs.
        needs: data and weights that must be had.
        config: the experiment; the file writes it as seen from its own folder.
        scores: what is compared.
        here: what is done here, where it is less.
        runs: values of options; each combination of them is a run.
        name: what the user types.
    """

    source: str
    setting: str
    tier: Tier
    needs: str
    config: str
    scores: list[TargetScore]
    here: str = "the same"
    runs: dict[str, list[Any]] = field(default_factory=dict)
    name: str = ""

    @property
    def combinations(self) -> list[Mapping[str, Any]]:
        """The options of each run, on top of the experiment's."""
        return [dict(zip(self.runs, each, strict=True)) for each in product(*self.runs.values())]


def read_targets(path: Path) -> dict[str, Target]:
    """All targets of the file, by name; a UserError where a row of it is not whole."""
    try:
        content = read_yaml(path)
    except UserError as error:
        raise UserError(
            f"the table of published results cannot be read: {error} Run from the folder of the "
            "project, or pass --table."
        ) from error
    if not isinstance(content, dict) or not content:
        raise UserError(f"{path} holds no target, expected name: {{source: ..., config: ...}}.")
    return {str(name): _target(path, str(name), row) for name, row in content.items()}


def _target(path: Path, name: str, row: object) -> Target:
    """A row of the table; a UserError where a key is missing, unknown or of the wrong kind."""
    try:
        scores = row.pop("scores", None) if isinstance(row, dict) else None
        if not isinstance(scores, list) or not scores:
            raise ValueError(f"expected keys and values, scores a list among them, got {row!r}")
        found = Target(
            **_parsed(Target, row), scores=[TargetScore(**_parsed(TargetScore, s)) for s in scores]
        )
        if not all(found.runs.values()):
            raise ValueError(f"runs lists the values of each option, got {found.runs}")
        for score in found.scores:
            low, high = score.range
            if not (score.names and low <= high and math.isfinite(high - low + score.tolerance)):
                raise ValueError(f"published is a number, or the least and the greatest: {score}")
        config = os.path.relpath(path.parent / found.config)
        if not os.path.isfile(config):
            raise ValueError(f"there is no config {config}")
    except Exception as error:  # jsonargparse raises what its parts raise
        reason = " ".join(str(error).split())
        raise UserError(f"{path}: {name}: {reason.rstrip('.')}.") from error
    return replace(found, name=name, config=config)


def _parsed(kind: type, row: object) -> dict[str, Any]:
    """The arguments of a dataclass, of the types that it declares."""
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(kind, skip={"scores", "name"})
    if not isinstance(row, dict):
        raise ValueError(f"expected keys and values, got {row!r}")
    with enforced():
        found: dict[str, Any] = vars(parser.parse_object(row))
    return found


def in_digits(value: float) -> str:
    """A number as a table shows it: two decimals or more, three digits from the first not 0."""
    if not math.isfinite(value):
        return str(value)
    digits = max(2, 2 - math.floor(math.log10(abs(value)))) if value else 2
    return f"{value:.{min(digits, 6)}f}"
