"""A published result and the experiment that is to reach it."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from lightning_gen.runs.sweep.space import Plain


@dataclass(frozen=True)
class Score:
    """One number of a target.

    Attributes:
        metrics: names of cards in ``metrics.json``; of several the better one counts.
        published: the least and the greatest value of the source, equal where it has one.
        tolerance: by which the worse end of ``published`` may be missed, in the metric's unit.
        better: "lower" or "higher".
        unit: of the metric.
    """

    metrics: tuple[str, ...]
    published: tuple[float, float]
    tolerance: float
    better: Literal["lower", "higher"]
    unit: str = ""

    @property
    def name(self) -> str:
        """What is measured, in words."""
        return " or ".join(self.metrics)

    @property
    def bound(self) -> float:
        """The value that must be reached: of a range of published values the worse end."""
        low, high = self.published
        return high + self.tolerance if self.better == "lower" else low - self.tolerance

    def reached(self, value: float) -> bool:
        """Whether a measured value is as good as asked."""
        return value <= self.bound if self.better == "lower" else value >= self.bound

    def best(self, values: dict[str, float]) -> str:
        """The metric with the best of the values."""
        choose = min if self.better == "lower" else max
        return choose(values, key=lambda name: values[name])


@dataclass(frozen=True)
class Target:
    """A row of the table.

    Attributes:
        name: what the user types.
        source: the paper, and the table in it.
        setting: the source's setting.
        here: what is done here, where it is less.
        tier: what it costs, such as "minutes on a CPU".
        needs: data and weights that must be had.
        config: the experiment.
        scores: what is compared.
        runs: options of each run, on top of the experiment's.
    """

    name: str
    source: str
    setting: str
    here: str
    tier: str
    needs: str
    config: Path
    scores: tuple[Score, ...]
    runs: tuple[dict[str, Plain], ...] = field(default=({},))


def in_digits(value: float) -> str:
    """A number as a table shows it: two decimals or more, three digits from the first not 0."""
    if not math.isfinite(value):
        return str(value)
    digits = max(2, 2 - math.floor(math.log10(abs(value)))) if value else 2
    return f"{value:.{min(digits, 6)}f}"
