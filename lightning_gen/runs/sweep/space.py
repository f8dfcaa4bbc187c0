"""The parameters of a sweep, as distributions of Optuna: values to choose among, and ranges."""

import json
import math
import re
from collections.abc import Mapping
from typing import Any
from warnings import catch_warnings

from optuna import Trial
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from lightning_gen.errors import UserError
from lightning_gen.hyperparameters import short_names

StudyValue = None | bool | int | float | str
"""What a study keeps as a value; a list or a mapping is kept as its JSON text."""
Space = CategoricalDistribution | FloatDistribution | IntDistribution
"""The values that a parameter may have."""

LONGEST_NAME = 100


def read_parameter(key: str, content: object) -> Space:
    """A list of values, or a range as ``{low: 1, high: 9}``; a UserError where it is neither."""
    if isinstance(content, Mapping):
        return _read_range(key, dict(content))
    if not isinstance(content, list) or not content:
        raise UserError(
            f"{key}: expected a list of values or a range such as {{low: 0.001, high: 0.1, log: "
            f"true}}, got {content!r}. Write one value as [2]."
        )
    values = [study_value(key, value) for value in content]
    if twice := [value for place, value in enumerate(values) if value in values[:place]]:
        raise UserError(f"{key}: {word(twice[0])} stands twice in the list. Leave one out.")
    return CategoricalDistribution(values)


def _read_range(key: str, content: dict[Any, Any]) -> FloatDistribution | IntDistribution:
    """Whole numbers where all that is given is whole."""
    numbers = [value for name, value in content.items() if name != "log"]
    kind = IntDistribution if all(type(n) is int for n in numbers) else FloatDistribution
    try:
        if any(type(n) not in (int, float) or not math.isfinite(n) for n in numbers):
            raise ValueError("low, high and step are numbers")
        if not isinstance(content.get("log", False), bool):
            raise ValueError("log is true or false")
        with catch_warnings(action="ignore"):  # of a range that its step does not divide
            return kind(**content)
    except (TypeError, ValueError) as error:
        raise UserError(
            f"{key}: a range has low, high and, if need be, log or step, such as {{low: 2, high: "
            f"100}}, got {content}: {str(error).rstrip('.')}."
        ) from error


def suggest(trial: Trial, key: str, space: Space) -> StudyValue:
    """The value that a trial of Optuna has or is given."""
    if isinstance(space, CategoricalDistribution):
        return trial.suggest_categorical(key, space.choices)
    if isinstance(space, IntDistribution):
        return trial.suggest_int(key, space.low, space.high, step=space.step, log=space.log)
    return trial.suggest_float(key, space.low, space.high, step=space.step, log=space.log)


def study_value(key: str, value: object) -> StudyValue:
    """A value as a study keeps it; a UserError where it is no plain value."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    try:
        return json.dumps(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise UserError(
            f"{key}: expected numbers, texts, lists and mappings, got {value!r}. Put it in quotes."
        ) from error


def word(value: StudyValue) -> str:
    """A value as the command line of ``fit`` writes it."""
    return value if isinstance(value, str) else json.dumps(value)


def brief(value: StudyValue) -> str:
    """A value as a table shows it, numbers in four digits."""
    return f"{value:.4g}" if isinstance(value, float) else word(value)


def trial_name(number: int, parameters: Mapping[str, StudyValue]) -> str:
    """The folder of a trial and the name of its run, such as ``trial_0003_latent_dim=10``."""
    short = short_names(parameters)
    parts = [f"trial_{number:04d}"]
    for key, value in parameters.items():
        text = re.sub(r"[^a-zA-Z0-9_.-]+", "-", brief(value).replace("e+", "e"))
        parts.append(f"{short[key]}={text if isinstance(value, int | float) else text.strip('-')}")
    return "_".join(parts)[:LONGEST_NAME]
