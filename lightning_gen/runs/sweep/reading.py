"""A sweep file, read and checked."""

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Literal, TypeVar
from warnings import catch_warnings

import optuna
from optuna.distributions import CategoricalDistribution
from optuna.samplers import BaseSampler, PartialFixedSampler, RandomSampler

from lightning_gen.errors import UserError, nearest
from lightning_gen.runs.sweep.space import Space, StudyValue, read_parameter, study_value
from lightning_gen.yaml_file import read_yaml

T = TypeVar("T")
Samplers = Callable[[int], BaseSampler]
"""The sampler of the trial of a number."""

KEYS: dict[str, tuple[type | tuple[type, ...], str]] = {
    "config": (str, "a recipe such as quickstart, or the path of a configuration of fit"),
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
SAMPLERS: dict[str, type[BaseSampler]] = {
    name: getattr(optuna.samplers, name)
    for name in optuna.samplers.__all__
    if name.endswith("Sampler") and name not in ("BaseSampler", "GridSampler")
}


@dataclass(frozen=True)
class SweepFile:
    """What is varied, on which configuration, and by which metric.

    The ``metric`` are columns of a run's metrics.csv whose sum is compared, the best over the
    epochs. ``sampler`` gives the sampler of the trial of a number; that of a ``grid`` gives the
    combination of this number, and all are its ``trials``. ``overrides`` are options of every run.
    """

    path: Path
    config: Path
    metric: tuple[str, ...]
    direction: Literal["minimize", "maximize"]
    grid: bool
    sampler: Samplers
    trials: int
    overrides: dict[str, StudyValue]
    parameters: dict[str, Space]

    @property
    def metric_name(self) -> str:
        """The metric as the file writes it."""
        return " + ".join(self.metric)


def read_sweep(path: Path, recipes: Mapping[str, Path] | None = None) -> SweepFile:
    """The sweep that a file describes; a UserError where it says something that cannot be done.

    Its ``config`` is a file, or the name of one of the recipes.
    """
    if not path.is_file():
        beside = [str(other) for other in path.parent.glob("*.yaml")]
        raise UserError(f"there is no file {path}{nearest(str(path), beside)}")
    content = _with_numbers(read_yaml(path))
    if not isinstance(content, dict):
        raise UserError(
            f"{path} holds no key: value, expected {', '.join(KEYS)}. Copy a file of conf/sweep."
        )
    try:
        return _build(path, content, recipes or {})
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def _with_numbers(content: Any) -> Any:  # noqa: ANN401  (YAML's)
    """1e-4 as a number, as the parser of ``fit`` reads it; in YAML 1.1 it is a text."""
    if isinstance(content, dict):
        return {key: _with_numbers(value) for key, value in content.items()}
    if isinstance(content, list):
        return [_with_numbers(value) for value in content]
    if isinstance(content, str) and re.fullmatch(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+", content):
        return float(content)
    return content


def _build(path: Path, content: dict[str, Any], recipes: Mapping[str, Path]) -> SweepFile:
    for key, value in content.items():
        if key not in KEYS:
            raise UserError(f"{key} is no key of a sweep{nearest(str(key), KEYS)}")
        kind, expected = KEYS[key]
        if value is not None and (not isinstance(value, kind) or isinstance(value, bool)):
            raise UserError(f"{key}: expected {expected}, got {value!r}.")
    for key in list(KEYS)[:3]:
        if not content.get(key):
            raise UserError(f"{key} is missing: {KEYS[key][1]}.")
    asked = {"direction": "minimize", "sampler": "grid", **content}
    if asked["direction"] not in ("minimize", "maximize"):
        raise UserError(f"direction: expected minimize or maximize, got {asked['direction']!r}.")
    config = Path(os.path.relpath(path.parent / content["config"]))  # "folder/../x" as "x"
    if not config.is_file() and content["config"] in recipes:
        config = recipes[content["config"]]
    elif not config.is_file():
        raise UserError(
            f"config: there is no file {config} (as seen from the folder {path.parent}), and no "
            f"experiment's recipe {content['config']}{nearest(content['config'], recipes)}"
        )
    parameters = {str(k): read_parameter(k, v) for k, v in content["parameters"].items()}
    overrides = {str(k): study_value(k, v) for k, v in (content.get("overrides") or {}).items()}
    check_free([*overrides, *parameters], RESERVED, "the sweep itself gives it")
    check_free(overrides, parameters, "it stands among the parameters too")
    grid, given = asked["sampler"] == "grid", content.get("trials")
    sampler, trials = (
        _read_grid(parameters, given) if grid else _read_sampler(asked["sampler"], given)
    )
    return SweepFile(
        path=path,
        config=config,
        metric=tuple(column.strip() for column in content["metric"].split("+")),
        direction=asked["direction"],
        grid=grid,
        sampler=sampler,
        trials=trials,
        overrides=overrides,
        parameters=parameters,
    )


def _read_sampler(content: str | dict[str, Any], trials: int | None) -> tuple[Samplers, int]:
    """The class that a sweep file names, and how many trials it says.

    The trial's number is added to the seed: with one seed a sweep that goes on, or machines that
    share it, would draw the same values again.
    """
    given: dict[str, Any] = content if isinstance(content, dict) else {"class_path": content}
    name = str(given.get("class_path")).removeprefix("optuna.samplers.")
    if name not in SAMPLERS:
        hint = nearest(name, ["grid", *SAMPLERS])
        raise UserError(f"sampler: expected grid or a class of optuna.samplers, got {name}{hint}")
    arguments = given.get("init_args") or {}

    def build(number: int) -> BaseSampler:
        seed = arguments.get("seed")
        of_trial = {} if seed is None else {"seed": (seed + number) % 2**32}
        with catch_warnings(action="ignore"):  # of arguments that Optuna may yet change
            return SAMPLERS[name](**arguments | of_trial)

    try:
        build(0)
    except Exception as error:  # whatever a constructor raises, its arguments are the cause
        raise UserError(f"sampler: {name} does not take these init_args: {error}.") from error
    if trials is None or trials < 1:
        raise UserError(f"trials: expected {KEYS['trials'][1]}, got {trials!r}.")
    return build, trials


def _read_grid(spaces: dict[str, Space], trials: int | None) -> tuple[Samplers, int]:
    """What gives a trial the combination of its number, the last parameter varying fastest."""
    for key, space in spaces.items():
        if not isinstance(space, CategoricalDistribution):
            raise UserError(
                f"{key}: a grid takes lists of values, got a range. List its values, or set "
                "sampler: optuna.samplers.TPESampler and trials."
            )
    choices = [getattr(space, "choices", ()) for space in spaces.values()]
    points = [dict(zip(spaces, each, strict=True)) for each in product(*choices)]
    if trials is not None:
        number = len(points)
        raise UserError(f"trials: a grid runs each of its {number} combinations. Leave trials out.")

    def build(number: int) -> BaseSampler:
        with catch_warnings(action="ignore"):  # Optuna calls this class experimental
            return PartialFixedSampler(points[number], RandomSampler())

    return build, len(points)


def check_free(keys: Iterable[str], taken: Iterable[str], reason: str) -> None:
    """Raise a UserError where one of the keys is taken, however its class arguments are written."""
    names = {name.replace(".init_args.", ".") for name in taken}
    for key in keys:
        if key.replace(".init_args.", ".") in names:
            raise UserError(f"{key} cannot be set here: {reason}. Leave it out.")
