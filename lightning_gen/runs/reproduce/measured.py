"""What the runs of a target have measured, and its row of a Markdown table."""

import math
from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from typing import Any, NamedTuple

from scipy.stats import t

from lightning_gen.errors import UserError
from lightning_gen.runs.reproduce.table import Target, TargetScore, in_digits
from lightning_gen.runs.reproduce.training import Finished
from lightning_gen.training.scores import with_error

CONFIDENCE = 0.95
NORMAL = 1.96
"""Standard errors of a 95 % interval over many images."""
HEADER = """\
| target | score | published | measured (95 %) | verdict | runs | device | time | date | commit |
|---|---|---|---|---|---|---|---|---|---|"""


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
        least = len(in_digits(bound).partition(".")[2])
        differ = (d for d in range(least, 9) if f"{self.value:.{d}f}" != f"{bound:.{d}f}")
        digits = least if self.value == bound else next(differ, 9)
        return with_error(self.value, self.half_width, digits)


def measured_score(
    score: TargetScore, runs: Sequence[dict[str, Any]], options: Sequence[Mapping[str, Any]]
) -> Measured:
    """The mean over runs, from the cards of each run's test split and the options that it had."""
    values = {metric: [value_of(cards, metric) for cards in runs] for metric in score.names}
    choose = min if score.better == "lower" else max
    value, metric = choose((fmean(found), metric) for metric, found in values.items())
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
    """The value of a card; a UserError where there is none, or it is no number."""
    if metric not in cards:
        raise UserError(
            f"the run has no score {metric}, only {', '.join(cards) or 'none'}. Let the experiment "
            "have the callback that gives it."
        )
    if cards[metric]["value"] is None:
        raise UserError(f"the run's {metric} is no finite number. Look at its pictures and losses.")
    return float(cards[metric]["value"])


def row(target: Target, score: TargetScore, measured: Measured, runs: Sequence[Finished]) -> str:
    """A row of the table, without a line break; the time is that of all runs together."""
    environment = runs[0].environment
    unit = f" {score.unit}" if score.unit else ""
    cells = (
        target.name,
        measured.metric,
        published_range(score),
        measured.in_words(score.bound) + unit,
        f"{'reached' if measured.reached else 'missed'} ({in_digits(score.bound)} asked)",
        str(len(runs)),
        device(environment),
        f"{sum(run.minutes for run in runs):.0f} min",
        environment["started"].partition("T")[0],
        (environment["git_commit"] or "unknown")[:9],
    )
    return "| " + " | ".join(cells) + " |"


def device(environment: dict[str, Any]) -> str:
    """What a run ran on."""
    first, *_ = devices = environment["devices"]
    if first != "cpu":
        return f"{len(devices)} x {first}"
    threads = environment["cpu_threads"]
    return f"{environment['processor']}, {threads} thread{'' if threads == 1 else 's'}"


def published_range(score: TargetScore) -> str:
    """The published value or range."""
    low, high = (in_digits(value) for value in score.range)
    return low if low == high else f"{low} to {high}"
