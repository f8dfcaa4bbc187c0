"""What a run has logged, column by column."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from lightning_gen.figures.curves import UNITS

ENDS_IN_DIMENSION = "kl_per_dimension/"
"""Columns of this beginning end in the number of a latent dimension."""


class Point(NamedTuple):
    """A logged value; epochs are counted from 1."""

    step: int
    epoch: int
    value: float


@dataclass(frozen=True)
class Logged:
    """The rows of a ``metrics.csv``.

    Attributes:
        rows: a ``step``, an ``epoch`` and columns such as ``val/loss``, of which each row fills
            some.
    """

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

    @property
    def columns(self) -> list[str]:
        """The columns that hold a value."""
        return list(self.curves)

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
        names = [name for name in self.columns if not name.startswith("test/")]
        return max((self.curves[name][-1].epoch for name in names), default=0)


def unit(column: str) -> str:
    """The unit of a column; empty where it has none, or none that is known."""
    if column.startswith(ENDS_IN_DIMENSION):
        return UNITS["kl"]
    return UNITS.get(column.rpartition("/")[2], "")
