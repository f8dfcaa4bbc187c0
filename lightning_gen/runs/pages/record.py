"""What the files of a run's directory say; neither the model nor the dataset is needed."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from lightning_gen import models
from lightning_gen.errors import UserError
from lightning_gen.quantities import Quantities
from lightning_gen.training.directory import CONFIG, ENVIRONMENT, RunDirectory, with_keys
from lightning_gen.training.fitted_prior import kept_file, prior_in_words
from lightning_gen.training.metrics_file import no_table, read_rows

ENDS_IN_DIMENSION = "kl_per_dimension/"
"""Columns of this beginning end in the number of a latent dimension."""


class Point(NamedTuple):
    """A logged value; epochs are counted from 1."""

    step: int
    epoch: int
    value: float


@dataclass(frozen=True)
class Logged:
    """The rows of a ``metrics.csv``: ``step``, ``epoch``, and columns such as ``val/loss``."""

    rows: Sequence[Mapping[str, Any]]

    @cached_property
    def curves(self) -> dict[str, list[Point]]:
        """All values of each column that has any; NaN and infinity among them."""
        curves: dict[str, list[Point]] = {}
        for row in self.rows:
            step, epoch = int(row["step"]), int(float(row.get("epoch") or 0)) + 1
            for column, cell in row.items():
                if cell and column not in ("step", "epoch"):
                    curves.setdefault(column, []).append(Point(step, epoch, float(cell)))
        return curves

    def curve(self, column: str) -> list[Point]:
        """The values of a column, in the order of the steps; none where it was not logged."""
        return self.curves.get(column, [])

    def last(self, column: str) -> Point | None:
        """The latest value."""
        return next(iter(self.curve(column)[-1:]), None)

    def least(self, column: str) -> Point | None:
        """The first of the least finite values."""
        finite = [point for point in self.curve(column) if math.isfinite(point.value)]
        return min(finite, key=lambda point: point.value, default=None)

    def at(self, column: str, step: int) -> Point | None:
        """The value of a step."""
        return next((point for point in self.curve(column) if point.step == step), None)

    @property
    def epochs(self) -> int:
        """How many epochs have been trained, at least in part."""
        names = [name for name in self.curves if not name.startswith("test/")]
        return max((self.curves[name][-1].epoch for name in names), default=0)


SLACK = timedelta(minutes=5)
"""config.yaml is written so soon after a start, so its time tells whether files keep theirs."""
KINDS = {
    **{"started": str, "python": str, "git_commit": str, "seed": int, "world_size": int},
    **{"devices": list, "command": list, "packages": dict},
}
"""What a page shows of ``environment.json``; a value of another type is left out."""


@dataclass(frozen=True)
class RunRecord:
    """What ``config.yaml``, ``environment.json`` (empty without one) and ``metrics.csv`` say."""

    directory: RunDirectory
    config: dict[str, Any]
    environment: dict[str, Any]
    logged: Logged
    quantities: Quantities
    prior: str = ""
    """What was fitted to its codes; empty where nothing was."""

    @classmethod
    def read(cls, place: Path) -> "RunRecord":
        """The record of a run's directory, checkpoint or name; a UserError if a file is broken."""
        directory = RunDirectory.of(place.expanduser())
        path = directory.path / ENVIRONMENT
        try:
            text = path.read_text(encoding="utf-8") if path.is_file() else "{}"
            environment = with_keys(json.loads(text), path)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{path} is broken ({error}). Copy the run once more.") from error
        known = {k: v for k, v in environment.items() if isinstance(v, KINDS.get(k, ()))}
        logged = Logged(read_rows(directory.metrics))
        try:
            logged.curves  # noqa: B018  (read now, so that a fault is found now)
        except ValueError as error:
            raise no_table(directory.metrics, error) from error
        prior = ""
        if kept_file(directory.path):
            prior = prior_in_words(directory.path, directory.best)
        return cls(directory, directory.read_config(), known, logged, directory.quantities, prior)

    def part(self, key: str) -> tuple[str, dict[str, Any]]:
        """The short name and the arguments of a class of the configuration, such as ``model``."""
        return of_class(self.config.get(key))

    @property
    def paper(self) -> str:
        """What the model is and where it is from; empty for a model of the user's own."""
        model = self.config.get("model")
        path = model.get("class_path") if isinstance(model, dict) else model
        module, _, name = path.rpartition(".") if isinstance(path, str) else ("", "", "")
        ours = module == models.__name__ and name in models.__all__
        return (getattr(models, name).__doc__ or "").partition("\n")[0] if ours else ""

    @property
    def duration(self) -> timedelta | None:
        """From the start to the last checkpoint; None where the files do not keep their times."""
        files = (self.directory.path / CONFIG, self.directory.last)
        try:
            start = datetime.fromisoformat(self.environment["started"])
            config, last = (datetime.fromtimestamp(f.stat().st_mtime, start.tzinfo) for f in files)
            return max(last - start, timedelta(0)) if abs(config - start) < SLACK else None
        except (LookupError, ValueError, TypeError, OverflowError, OSError):
            return None


def of_class(part: object) -> tuple[str, dict[str, Any]]:
    """The short name and the arguments of a class that a configuration names; empty without one."""
    path, arguments = part, None
    if isinstance(part, dict):
        path, arguments = part.get("class_path"), part.get("init_args")
    name = path.rpartition(".")[2] if isinstance(path, str) else ""
    return name, arguments if isinstance(arguments, dict) else {}
