"""What a sweep found: a table, a plot, and the best trials in words."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from optuna.distributions import CategoricalDistribution
from optuna.trial import TrialState

from lightning_gen.atomic import draft, write_text
from lightning_gen.figures.sweep import SweptParameter, sweep_panels
from lightning_gen.runs.sweep.reading import SweepFile
from lightning_gen.runs.sweep.space import Space, StudyValue, brief, short_names, word
from lightning_gen.runs.sweep.study import Study, has_begun
from lightning_gen.training.directory import RunDirectory
from lightning_gen.training.metrics_file import table

BEST = 5
"""Trials of the table that is printed."""


class Result(NamedTuple):
    """A trial of a sweep; without a value it failed or has not ended."""

    number: int
    state: str
    parameters: Mapping[str, StudyValue]
    value: float | None
    error: str
    directory: str
    test: Mapping[str, float]
    seconds: float


def results(study: Study) -> list[Result]:
    """The trials of a study that were begun, by number."""
    found = []
    for number, trial in study.trials().items():
        about = trial.user_attrs
        state = trial.state.name.lower()
        if trial.state == TrialState.FAIL:
            state = "failed" if "error" in about else "interrupted"
        values = {key: trial.params[key] for key in study.sweep.parameters if key in trial.params}
        told: dict[str, Any] = {"error": "", "directory": "", "test": {}, "seconds": 0.0}
        told |= {name: about[name] for name in told.keys() & about.keys()}
        if has_begun(trial):
            found.append(Result(number, state, values, trial.value, **told))
    return found


def write_results(study: Study, found: list[Result]) -> None:
    """Write ``results.csv``, a row a trial, and ``results.png``, each whole or not at all."""
    sweep, folder = study.sweep, study.folder
    tests = sorted({name for result in found for name in result.test})
    middle = dict.fromkeys([*sweep.parameters, sweep.metric_name, *tests])
    columns = ["trial", "state", *middle, "seconds", "directory", "error"]
    rows = [
        {
            **{"trial": result.number, "state": result.state, **result.test},
            **{key: word(value) for key, value in result.parameters.items()},
            **({} if result.value is None else {sweep.metric_name: result.value}),
            **{"seconds": round(result.seconds, 1), "directory": result.directory},
            "error": result.error,
        }
        for result in found
    ]
    write_text(folder / "results.csv", table(columns, rows, header=True))
    if complete := ranked(sweep, found):
        metric = [result.value for result in complete if result.value is not None]
        parameters = [_swept(key, space, complete) for key, space in sweep.parameters.items()]
        minimize = sweep.direction == "minimize"
        known = RunDirectory(Path(complete[0].directory)).quantities
        units = {known.of(column).unit for column in sweep.metric}
        unit = units.pop() if len(units) == 1 else ""
        figure = sweep_panels(parameters, metric, sweep.metric_name, unit, minimize=minimize)
        with draft(folder / "results.png") as unfinished:
            figure.savefig(unfinished)


def _swept(key: str, space: Space, complete: list[Result]) -> SweptParameter:
    values = [result.parameters[key] for result in complete]
    if isinstance(space, CategoricalDistribution):
        return SweptParameter(key, [*map(word, values)], [*map(word, space.choices)])
    return SweptParameter(key, [float(value or 0) for value in values], log=space.log)


def ranked(sweep: SweepFile, found: list[Result]) -> list[Result]:
    """The trials with a value, the best first."""
    sign = 1 if sweep.direction == "minimize" else -1
    complete = [result for result in found if result.value is not None]
    return sorted(complete, key=lambda result: sign * (result.value or 0))


def line(sweep: SweepFile, result: Result) -> str:
    """A finished trial in one line."""
    short = short_names(list(sweep.parameters))
    values = ", ".join(f"{short[key]} {brief(v)}" for key, v in result.parameters.items())
    if result.value is None:
        return f"trial {result.number}: {values}: failed: {result.error}"
    shown = f"{sweep.metric_name} {result.value:.5g}"
    return f"trial {result.number}: {values}: {shown} ({result.seconds:.0f} s)"


def best_table(sweep: SweepFile, found: list[Result]) -> str:
    """The best trials as a table of text."""
    short = short_names(list(sweep.parameters))
    rows = [["trial", sweep.metric_name, *short.values(), "run"]]
    for result in ranked(sweep, found)[:BEST]:
        values = [brief(result.parameters[key]) for key in sweep.parameters]
        rows.append([str(result.number), f"{result.value:.5g}", *values, result.directory])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(n) for cell, n in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
