"""A sweep file, read and checked."""

import json
import math
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml
from optuna.distributions import BaseDistribution, CategoricalDistribution, distribution_to_json

from lightning_gen.errors import UserError
from lightning_gen.runs.sweep.sampler import Sampler, nearest, read_sampler
from lightning_gen.runs.sweep.space import Plain, plain, read_parameter

T = TypeVar("T")

KEYS = ("config", "metric", "direction", "sampler", "trials", "overrides", "parameters")
NEEDED = ("config", "metric", "parameters")
RESERVED = ("config", "name", "ckpt_path", "trainer.default_root_dir", "print_config")
"""Options of ``fit`` that the sweep itself gives."""


@dataclass(frozen=True)
class SweepFile:
    """What is varied, on which configuration, and by which metric.

    Attributes:
        path: the file.
        config: the configuration of ``fit``.
        metric: columns of a run's metrics.csv whose sum is compared, the best over the epochs.
        minimize: the least is the best.
        sampler: how values are drawn; None for a grid.
        trials: how many; for a grid the number of its combinations.
        overrides: options of every run.
        parameters: what is varied, by the key of the configuration.
    """

    path: Path
    config: Path
    metric: tuple[str, ...]
    minimize: bool
    sampler: Sampler | None
    trials: int
    overrides: dict[str, Plain]
    parameters: dict[str, BaseDistribution]

    @property
    def metric_name(self) -> str:
        """The metric as the file writes it."""
        return " + ".join(self.metric)

    @property
    def direction(self) -> Literal["minimize", "maximize"]:
        """As Optuna and the file name it."""
        return "minimize" if self.minimize else "maximize"

    @property
    def combinations(self) -> list[dict[str, Plain]]:
        """Those of a grid, the last parameter varying fastest; none where values are drawn."""
        if self.sampler is not None:
            return []
        values = [
            p.choices for p in self.parameters.values() if isinstance(p, CategoricalDistribution)
        ]
        return [dict(zip(self.parameters, each, strict=True)) for each in product(*values)]

    @property
    def identity(self) -> dict[str, Any]:
        """What the trials of one study must have in common, as plain values."""
        spaces = {key: json.loads(distribution_to_json(p)) for key, p in self.parameters.items()}
        return {
            "config": self.config.name,
            "metric": self.metric_name,
            "direction": self.direction,
            "grid": self.sampler is None,
            **{f"overrides.{key}": value for key, value in self.overrides.items()},
            **{f"parameters.{key}": space["attributes"] for key, space in spaces.items()},
        }


class Loader(yaml.SafeLoader):
    """Reads 1e-4 as a number, as the parser of ``fit`` does and YAML 1.1 does not, and no alias.

    A few lines of aliases can stand for more values than a machine holds.
    """

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """A part of the file."""
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("an alias (*name) is not read, write the values out")
        return super().compose_node(parent, index)


Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), list("-+0123456789")
)


def read_sweep(path: Path) -> SweepFile:
    """The sweep that a file describes.

    Raises:
        UserError: the file cannot be read, or says something that cannot be done.
    """
    content = _read_yaml(path)
    try:
        _check_keys(content)
        return _build(path, content)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def _read_yaml(path: Path) -> dict[str, Any]:
    if not path.is_file():
        beside = [str(other) for other in path.parent.glob("*.yaml")]
        raise UserError(f"there is no file {path}. {nearest(str(path), beside)}")
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: 2026-13-45
        text = str(error).replace('in "<unicode string>", ', "in ")
        raise UserError(f"{path} is no valid YAML: {text}.") from error
    if not isinstance(content, dict):
        raise UserError(
            f"{path} holds no key: value, expected {', '.join(KEYS)}. Copy a file of conf/sweep."
        )
    return content


def _check_keys(content: dict[str, Any]) -> None:
    for key in content:
        if key not in KEYS:
            raise UserError(f"{key} is no key of a sweep. {nearest(str(key), KEYS)}")
    for key in NEEDED:
        if not content.get(key):
            raise UserError(f"{key} is missing. A sweep needs {', '.join(NEEDED)}.")
    if content.get("direction", "minimize") not in ("minimize", "maximize"):
        raise UserError(f"direction: expected minimize or maximize, got {content['direction']!r}.")
    for key in ("overrides", "parameters"):
        if not isinstance(content.get(key) or {}, dict):
            raise UserError(
                f"{key}: expected keys of the configuration and their values, got {content[key]!r}."
                " Write for instance model.latent_dim: [2, 10]."
            )
    for kind in ("config", "metric"):
        if not isinstance(content[kind], str):
            raise UserError(f"{kind}: expected a text, got {content[kind]!r}.")


def _build(path: Path, content: dict[str, Any]) -> SweepFile:
    config = Path(os.path.relpath(path.parent / content["config"]))  # "folder/../x" as "x"
    if not config.is_file():
        raise UserError(
            f"config: there is no file {config}. Write its path as seen from the folder "
            f"{path.parent}."
        )
    parameters = {str(k): _named(k, read_parameter, v) for k, v in content["parameters"].items()}
    overrides = {str(k): _named(k, plain, v) for k, v in (content.get("overrides") or {}).items()}
    check_free([*overrides, *parameters], RESERVED, "the sweep itself gives it")
    check_free(overrides, parameters, "it stands among the parameters too")
    sampler = read_sampler(content.get("sampler", "grid"))
    return SweepFile(
        path,
        config,
        tuple(column.strip() for column in content["metric"].split("+")),
        content.get("direction", "minimize") == "minimize",
        sampler,
        _number_of_trials(sampler is None, content.get("trials"), parameters),
        overrides,
        parameters,
    )


def _named(key: str, read: Callable[[object], T], value: object) -> T:
    try:
        return read(value)
    except UserError as error:
        raise UserError(f"{key}: {error}") from error


def check_free(keys: Iterable[str], taken: Iterable[str], reason: str) -> None:
    """Raise a UserError where one of the keys is taken, however its class arguments are written."""
    names = {name.replace(".init_args.", ".") for name in taken}
    for key in keys:
        if key.replace(".init_args.", ".") in names:
            raise UserError(f"{key} cannot be set here: {reason}. Leave it out.")


def _number_of_trials(grid: bool, given: object, spaces: dict[str, BaseDistribution]) -> int:
    if not grid:
        if isinstance(given, bool) or not isinstance(given, int) or given < 1:
            raise UserError(f"trials: expected a whole number of at least 1, got {given!r}.")
        return given
    for key, space in spaces.items():
        if not isinstance(space, CategoricalDistribution):
            raise UserError(
                f"{key}: a grid takes lists of values, got a range. List its values, or set "
                "sampler: optuna.samplers.TPESampler and trials."
            )
    number = math.prod([len(getattr(space, "choices", ())) for space in spaces.values()])
    if given is not None:
        raise UserError(f"trials: a grid runs each of its {number} combinations. Leave trials out.")
    return number
