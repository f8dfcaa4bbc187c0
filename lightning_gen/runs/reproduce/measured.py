"""What the runs of a target have measured."""

import math
from collections.abc import Sequence
from statistics import fmean, stdev
from typing import Any, NamedTuple

from scipy.stats import t

from lightning_gen.errors import UserError
from lightning_gen.runs.reproduce.target import Score
from lightning_gen.runs.scores import with_error

CONFIDENCE = 0.95
NORMAL = 1.96
"""Standard errors of a 95 % interval over many images."""


class Measured(NamedTuple):
    """A score over all runs, with its 95 % interval.

    Of several runs the interval is Student's, over runs; of one it is that of the images. It is
    nan where neither can be said.
    """

    metric: str
    value: float
    half_width: float
    reached: bool

    def in_words(self) -> str:
        """``86.76 ± 0.12``."""
        return with_error(self.value, self.half_width)


def measure(score: Score, runs: Sequence[dict[str, Any]]) -> Measured:
    """The mean over runs, from the cards of each run's test split.

    Raises:
        UserError: a run has no such card.
    """
    values = {metric: [value_of(cards, metric) for cards in runs] for metric in score.metrics}
    metric = score.best({name: fmean(found) for name, found in values.items()})
    value = fmean(values[metric])
    return Measured(metric, value, half_width(values[metric], runs, metric), score.reached(value))


def half_width(values: Sequence[float], runs: Sequence[dict[str, Any]], metric: str) -> float:
    """Half of the 95 % interval of the mean."""
    if len(values) > 1:
        quantile = float(t.ppf((1 + CONFIDENCE) / 2, len(values) - 1))
        return quantile * stdev(values) / math.sqrt(len(values))
    error = runs[0][metric]["standard_error"]
    return math.nan if error is None else NORMAL * float(error)


def value_of(cards: dict[str, Any], metric: str) -> float:
    """The value of a card.

    Raises:
        UserError: there is none, or it is no number.
    """
    if metric not in cards:
        raise UserError(
            f"the run has no score {metric}, only {', '.join(cards) or 'none'}. Let the experiment "
            "have the callback that gives it."
        )
    if cards[metric]["value"] is None:
        raise UserError(f"the run's {metric} is no finite number. Look at its pictures and losses.")
    return float(cards[metric]["value"])
