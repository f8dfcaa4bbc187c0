"""What was measured, as rows of a Markdown table."""

from collections.abc import Sequence
from typing import Any

from lightning_gen.runs.reproduce.measured import Measured
from lightning_gen.runs.reproduce.target import Score, Target, in_digits
from lightning_gen.runs.reproduce.training import Finished

HEADER = """\
| target | score | published | measured (95 %) | verdict | runs | device | time | date | commit |
|---|---|---|---|---|---|---|---|---|---|"""


def row(target: Target, score: Score, measured: Measured, runs: Sequence[Finished]) -> str:
    """A row of the table, without a line break; the time is that of all runs together."""
    environment = runs[0].environment
    unit = f" {score.unit}" if score.unit else ""
    cells = (
        target.name,
        measured.metric,
        published(score),
        measured.in_words(score.bound) + unit,
        f"{'reached' if measured.reached else 'missed'} ({in_digits(score.bound)} asked)",
        str(len(runs)),
        device(environment),
        f"{sum(run.minutes for run in runs):.0f} min",
        environment["started"].partition("T")[0],
        short(environment["git_commit"]),
    )
    return "| " + " | ".join(cells) + " |"


def device(environment: dict[str, Any]) -> str:
    """What a run ran on."""
    first, *_ = devices = environment["devices"]
    if first != "cpu":
        return f"{len(devices)} x {first}"
    threads = environment["cpu_threads"]
    return f"{environment['processor']}, {threads} thread{'' if threads == 1 else 's'}"


def published(score: Score) -> str:
    """The published value or range."""
    low, high = (in_digits(value) for value in score.published)
    return low if low == high else f"{low} to {high}"


def short(commit: str | None) -> str:
    """The first digits of a commit, and whether files differed from it."""
    if commit is None:
        return "unknown"
    digits, changed, _ = commit.partition("+")
    return digits[:9] + ("+changes" if changed else "")
