"""What the runs of a target have measured."""

import math
from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from typing import Any, NamedTuple

from scipy.stats import t

from lightning_gen.errors import UserError
from lightning_gen.runs.reproduce.target import Score, in_digits
from lightning_gen.runs.scores import with_error

CONFIDENCE = 0.95
NORMAL = 1.96
"""Standard errors of a 95 % interval over many images."""


class Measured(NamedTuple):
    """A score over all runs, with its 95 % interval.

    Of several seeds the interval is Student's, over the seeds' means; of a single run it is that of
    the images. Runs that differ in more than the seed are no repeats of each other: of one seed of
    each there is no interval (nan).
    """

    metric: str
    value: float
    half_width: float
    reached: bool

    def in_words(self, bound: float) -> str:
        """``86.76 ± 0.12``, in digits that tell it from the value that must be reached."""
        digits = len(in_digits(bound).partition(".")[2])
        while (
            digits < 9
            and f"{self.value:.{digits}f}" == f"{bound:.{digits}f}"
            and (self.value != bound)
        ):
            digits += 1
        return with_error(self.value, self.half_width, digits)


def measure(
    score: Score, runs: Sequence[dict[str, Any]], options: Sequence[Mapping[str, Any]]
) -> Measured:
    """The mean over runs, from the cards of each run's test split and the options that it had.

    Raises:
        UserError: a run has no such card.
    """
    values = {metric: [value_of(cards, metric) for cards in runs] for metric in score.metrics}
    metric = score.best({name: fmean(found) for name, found in values.items()})
    value = fmean(values[metric])
    by_seed: dict[Any, list[float]] = {}
    for found, given in zip(values[metric], options, strict=True):
        by_seed.setdefault(given.get("seed_everything"), []).append(found)
    width = half_width([fmean(found) for found in by_seed.values()])
    error = runs[0][metric]["standard_error"]
    if len(runs) == 1 and error is not None:
        width = NORMAL * float(error)
    return Measured(metric, value, width, score.reached(value))


def half_width(values: Sequence[float]) -> float:
    """Half of Student's 95 % interval of the mean; nan for a single value."""
    if len(values) < 2:
        return math.nan
    quantile = float(t.ppf((1 + CONFIDENCE) / 2, len(values) - 1))
    return quantile * stdev(values) / math.sqrt(len(values))


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
