"""Trains the runs of a target, each in a process of its own, and says what they have measured."""

import json
import math
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, NamedTuple

from scipy.stats import t

from lightning_gen.errors import UserError
from lightning_gen.runs.reproduce.table import Target, TargetScore, in_digits
from lightning_gen.runs.sweep.trial import SAFE, as_words
from lightning_gen.training.directory import RunDirectory
from lightning_gen.training.scores import read_scores, with_error

ERROR = "lightning-gen fit: "
CONFIDENCE = 0.95
NORMAL = 1.96
"""Standard errors of a 95 % interval over many images."""
HEADER = """\
| target | score | published | measured (95 %) | verdict | runs | device | time | date | commit |
|---|---|---|---|---|---|---|---|---|---|"""


class NotRunError(UserError):
    """Data or weights of the target cannot be had here."""


class Finished(NamedTuple):
    """What a finished run left: the cards of its test split, and its ``environment.json``."""

    cards: dict[str, Any]
    environment: dict[str, Any]

    @property
    def minutes(self) -> float:
        """From the start of the training to the last score, pauses included."""
        begun = datetime.fromisoformat(self.environment["started"])
        ended = max(datetime.fromisoformat(card["date"]) for card in self.cards.values())
        return (ended - begun).total_seconds() / 60


def finished(target: Target, number: int, root: Path) -> Finished | None:
    """The latest finished run of this number; None where there is none."""
    for run in reversed(RunDirectory.all_of(root, f"reproduce_{target.name}_{number}")):
        cards: dict[str, Any] = read_scores(run.path).get("test", {})
        environment = run.path / "environment.json"
        if cards and environment.is_file():
            return Finished(cards, json.loads(environment.read_text(encoding="utf-8")))
    return None


def train_run(target: Target, number: int, root: Path, *, fresh: bool) -> Finished:
    """Run ``fit``, whose output goes to the screen; what was cut off goes on, unless ``fresh``.

    A NotRunError says that it could not start, a UserError that it failed or gives no scores.
    """
    name = f"reproduce_{target.name}_{number}"
    command = [sys.executable, "-P", "-m", "lightning_gen", "fit", "--config", target.config]
    command += [*as_words(target.combinations[number]), "--name", name]
    command += ["--trainer.default_root_dir", str(root)]
    runs = RunDirectory.all_of(root, name)
    if not fresh and runs and not read_scores(runs[-1].path) and runs[-1].last.is_file():
        command += ["--ckpt_path", "last"]
    last = ""
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, bufsize=1, env=os.environ | SAFE
    ) as process:
        assert process.stderr is not None
        try:
            for line in process.stderr:
                sys.stderr.write(line)
                sys.stderr.flush()
                last = line.strip() or last
        except KeyboardInterrupt:  # the fit has had it too, and may be writing a checkpoint
            process.wait()
            raise
    if process.returncode == 2:
        raise NotRunError(last.removeprefix(ERROR) or "its arguments were refused")
    if process.returncode != 0:
        raise UserError(f"{name} failed: {last.removeprefix(ERROR)}")
    run = finished(target, number, root)
    if run is None:
        raise UserError(f"{name} has no scores. Let {target.config} have callbacks that evaluate.")
    return run


class Measured(NamedTuple):
    """A score over all runs, with its 95 % interval.

    Of several seeds the interval is Student's, over the seeds' means; of a single run it is that of
    the images. Of one seed of several experiments there is none (nan).
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
    means = [fmean(found) for found in by_seed.values()]
    width, error = math.nan, runs[0][metric]["standard_error"]
    if len(means) > 1:
        quantile = float(t.ppf((1 + CONFIDENCE) / 2, len(means) - 1))
        width = quantile * stdev(means) / math.sqrt(len(means))
    elif len(runs) == 1 and error is not None:
        width = NORMAL * float(error)
    return Measured(metric, value, width, score.reached(value))


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
