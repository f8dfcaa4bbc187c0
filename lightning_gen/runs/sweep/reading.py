"""A sweep file, read and checked."""

import math
import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import yaml

from lightning_gen.errors import UserError
from lightning_gen.runs.sweep.sampler import nearest, read_sampler
from lightning_gen.runs.sweep.space import Choice, Parameter, plain, read_parameter
from lightning_gen.runs.sweep.sweep_file import SweepFile

T = TypeVar("T")

KEYS = ("config", "metric", "direction", "sampler", "trials", "overrides", "parameters")
NEEDED = ("config", "metric", "parameters")
RESERVED = ("config", "name", "ckpt_path", "trainer.default_root_dir", "print_config")
"""Options of ``fit`` that the sweep itself gives."""


class Loader(yaml.SafeLoader):
    """Reads 1e-4 as a number, as the parser of ``fit`` does, and YAML 1.1 does not."""


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
    except (yaml.YAMLError, UnicodeDecodeError) as error:
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
    check_free(overrides, RESERVED, "the sweep itself gives it. Leave it out")
    check_free(parameters, RESERVED, "the sweep itself gives it. Leave it out")
    check_free(overrides, parameters, "it stands among the parameters too. Leave one out")
    sampler = read_sampler(content.get("sampler", "grid"))
    _check_trials(sampler is None, content.get("trials"), parameters)
    return SweepFile(
        path,
        config,
        tuple(column.strip() for column in content["metric"].split("+")),
        content.get("direction", "minimize") == "minimize",
        sampler,
        content.get("trials"),
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
            raise UserError(f"{key} cannot be set here: {reason}.")


def _check_trials(grid: bool, trials: object, parameters: dict[str, Parameter]) -> None:
    ranges = [key for key, value in parameters.items() if not isinstance(value, Choice)]
    if grid and ranges:
        raise UserError(
            f"{ranges[0]}: a grid takes lists of values, got a range. List its values, or set "
            "sampler: optuna.samplers.TPESampler and trials."
        )
    if grid and trials is not None:
        number = math.prod(len(p.values) for p in parameters.values() if isinstance(p, Choice))
        raise UserError(f"trials: a grid runs each of its {number} combinations. Leave trials out.")
    if not grid and (isinstance(trials, bool) or not isinstance(trials, int) or trials < 1):
        raise UserError(f"trials: expected a whole number of at least 1, got {trials!r}.")
