"""A sweep file, read and checked."""

import math
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml
from optuna.distributions import BaseDistribution, CategoricalDistribution

from lightning_gen.errors import UserError
from lightning_gen.runs.sweep.sampler import Sampler, nearest, read_sampler
from lightning_gen.runs.sweep.space import Plain, plain, read_parameter

T = TypeVar("T")

KEYS: dict[str, tuple[type | tuple[type, ...], str]] = {
    "config": (str, "the path of a configuration of fit, such as ../quickstart.yaml"),
    "metric": (str, "a column of metrics.csv, such as val/loss, or a sum of such"),
    "parameters": (dict, "keys and their values, such as model.latent_dim: [2, 10]"),
    "overrides": (dict, "keys and their values, such as trainer.max_epochs: 5"),
    "direction": (str, "minimize or maximize"),
    "sampler": ((str, dict), "grid or a class of optuna.samplers"),
    "trials": (int, "a whole number of at least 1"),
}
"""Of a sweep file: the type of each and what is expected; the first three are needed."""
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
        identity: what the file says that all trials of one study have in common.
    """

    path: Path
    config: Path
    metric: tuple[str, ...]
    minimize: bool
    sampler: Sampler | None
    trials: int
    overrides: dict[str, Plain]
    parameters: dict[str, BaseDistribution]
    identity: dict[str, Any]

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
    for key, value in content.items():
        if key not in KEYS:
            raise UserError(f"{key} is no key of a sweep. {nearest(str(key), KEYS)}")
        kind, expected = KEYS[key]
        if value is not None and (not isinstance(value, kind) or isinstance(value, bool)):
            raise UserError(f"{key}: expected {expected}, got {value!r}.")
    for key in list(KEYS)[:3]:
        if not content.get(key):
            raise UserError(f"{key} is missing: {KEYS[key][1]}.")
    if content.get("direction", "minimize") not in ("minimize", "maximize"):
        raise UserError(f"direction: expected minimize or maximize, got {content['direction']!r}.")


def _build(path: Path, content: dict[str, Any]) -> SweepFile:
    direction = content.get("direction", "minimize")
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
        direction == "minimize",
        sampler,
        _number_of_trials(sampler is None, content.get("trials"), parameters),
        overrides,
        parameters,
        {
            "config": config.name,
            "metric": content["metric"],
            "direction": direction,
            "grid": sampler is None,
            "overrides": overrides,
            "parameters": {key: plain(value) for key, value in content["parameters"].items()},
        },
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


def _number_of_trials(grid: bool, given: int | None, spaces: dict[str, BaseDistribution]) -> int:
    if not grid:
        if given is None or given < 1:
            raise UserError(f"trials: expected {KEYS['trials'][1]}, got {given!r}.")
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
