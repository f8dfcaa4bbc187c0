"""The table of published results, read and checked."""

import math
import os
from difflib import get_close_matches
from itertools import product
from pathlib import Path
from typing import Any

import yaml

from lightning_gen.errors import UserError
from lightning_gen.runs.reproduce.target import Score, Target

TARGET_KEYS = {"source", "setting", "here", "tier", "needs", "config", "scores", "runs"}
SCORE_KEYS = {"metrics", "published", "tolerance", "better", "unit"}
TIERS = (
    "minutes on a CPU",
    "an hour on a CPU",
    "hours on a CPU",
    "minutes on a GPU",
    "hours on a GPU",
)


def read_table(path: Path) -> dict[str, Target]:
    """All targets of the file, by name.

    Raises:
        UserError: the file cannot be read, or a row of it is not whole.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"the table of published results cannot be read: {reason}. Run from the folder of the "
            "project, or pass --table."
        ) from error
    if not isinstance(content, dict) or not content:
        raise UserError(f"{path} holds no target, expected name: {{source: ..., config: ...}}.")
    return {str(name): target(path, str(name), row) for name, row in content.items()}


def find(table: dict[str, Target], name: str) -> Target:
    """The target of this name.

    Raises:
        UserError: there is none.
    """
    if name in table:
        return table[name]
    close = get_close_matches(name, table, n=1)
    hint = f"Did you mean {close[0]}?" if close else f"Choose among {', '.join(table)}."
    raise UserError(f"there is no target {name}. {hint}")


def target(path: Path, name: str, row: Any) -> Target:  # noqa: ANN401  (YAML's)
    """A row of the table.

    Raises:
        UserError: a key is missing, unknown, or of the wrong kind.
    """
    place = f"{path}: {name}"
    check_keys(place, row, TARGET_KEYS, optional={"here", "runs"})
    for key in ("source", "setting", "needs", "config"):
        if not isinstance(row[key], str):
            raise UserError(f"{place}: {key} is a text, got {row[key]!r}.")
    config = Path(os.path.relpath(path.parent / row["config"]))
    if not config.is_file():
        raise UserError(f"{place}: there is no config {config}.")
    if row["tier"] not in TIERS:
        raise UserError(f"{place}: tier is one of {', '.join(TIERS)}, got {row['tier']!r}.")
    if not isinstance(row["scores"], list) or not row["scores"]:
        raise UserError(f"{place}: scores lists one score or more, got {row['scores']!r}.")
    return Target(
        name,
        row["source"],
        row["setting"],
        str(row.get("here", "the same")),
        row["tier"],
        row["needs"],
        config,
        tuple(score(place, each) for each in row["scores"]),
        combinations(place, row.get("runs") or {}),
    )


def score(place: str, row: Any) -> Score:  # noqa: ANN401  (YAML's)
    """A score of a row."""
    check_keys(place, row, SCORE_KEYS, optional={"unit", "tolerance"})
    published = row["published"] if isinstance(row["published"], list) else [row["published"]] * 2
    numbers = [number(place, "published", each) for each in published]
    if len(numbers) != 2 or numbers[0] > numbers[1]:
        raise UserError(
            f"{place}: published is a number, or the least and the greatest, got {published!r}."
        )
    tolerance = number(place, "tolerance", row.get("tolerance", 0.0))
    if tolerance < 0:
        raise UserError(f"{place}: tolerance is at least 0, got {tolerance}.")
    if row["better"] not in ("lower", "higher"):
        raise UserError(f"{place}: better is lower or higher, got {row['better']!r}.")
    metrics = row["metrics"] if isinstance(row["metrics"], list) else [row["metrics"]]
    if not metrics or not all(isinstance(metric, str) for metric in metrics):
        raise UserError(f"{place}: metrics names one score or more, got {row['metrics']!r}.")
    bounds = (numbers[0], numbers[1])
    return Score(tuple(metrics), bounds, tolerance, row["better"], str(row.get("unit", "")))


def number(place: str, key: str, value: Any) -> float:  # noqa: ANN401  (YAML's)
    """A finite number.

    Raises:
        UserError: it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise UserError(f"{place}: {key} is a finite number, got {value!r}.")
    return float(value)


def combinations(place: str, lists: Any) -> tuple[dict[str, Any], ...]:  # noqa: ANN401  (YAML's)
    """The options of each run: every combination of the listed values."""
    listed = isinstance(lists, dict) and all(
        isinstance(each, list) and each for each in lists.values()
    )
    if not listed:
        raise UserError(f"{place}: runs lists the values of each option, got {lists!r}.")
    return tuple(dict(zip(lists, values, strict=True)) for values in product(*lists.values()))


def check_keys(place: str, row: Any, keys: set[str], optional: set[str]) -> None:  # noqa: ANN401
    """Raise a UserError unless ``row`` has the keys and no others."""
    if not isinstance(row, dict):
        raise UserError(f"{place}: expected the keys {', '.join(sorted(keys))}, got {row!r}.")
    for key in row:
        if key not in keys:
            raise UserError(f"{place}: {key} is no key. Choose among {', '.join(sorted(keys))}.")
    for key in sorted(keys - optional):
        if key not in row:
            raise UserError(f"{place}: {key} is missing.")
