"""What a sweep found: a table, a plot, and the best trials in words."""

from pathlib import Path

from optuna.distributions import CategoricalDistribution
from optuna.trial import FrozenTrial

from lightning_gen.atomic import draft, write_text
from lightning_gen.figures.sweep import SweptParameter, sweep_panels
from lightning_gen.hyperparameters import short_names
from lightning_gen.runs.sweep.reading import SweepFile
from lightning_gen.runs.sweep.space import Space, brief, word
from lightning_gen.runs.sweep.study import Study
from lightning_gen.training.directory import RunDirectory
from lightning_gen.training.metrics_file import table

BEST = 5
"""Trials of the table that is printed."""


def begun(study: Study) -> list[FrozenTrial]:
    """The trials of a study that have values, by number."""
    return [trial for trial in study.trials().values() if "name" in trial.user_attrs]


def write_results(study: Study, trials: list[FrozenTrial]) -> None:
    """Write ``results.csv``, a row a trial, and ``results.png``, each whole or not at all."""
    sweep, folder = study.sweep, study.folder
    tests = sorted({name for trial in trials for name in trial.user_attrs.get("test", ())})
    middle = dict.fromkeys([*sweep.parameters, sweep.metric_name, *tests])
    columns = ["trial", "state", *middle, "seconds", "directory", "error"]
    rows = [
        {
            **{"trial": trial.user_attrs["number"], "state": study.state(trial)},
            **{key: word(value) for key, value in trial.params.items()},
            **trial.user_attrs.get("test", {}),
            **{sweep.metric_name: trial.value, "error": trial.user_attrs.get("error")},
            "seconds": round(trial.user_attrs.get("seconds", 0), 1),
            "directory": trial.user_attrs.get("directory"),
        }
        for trial in trials
    ]
    write_text(folder / "results.csv", table(columns, rows, header=True))
    if complete := ranked(sweep, trials):
        known = RunDirectory(Path(complete[0].user_attrs["directory"])).quantities
        units = {known.of(column).unit for column in sweep.metric}
        figure = sweep_panels(
            [_swept(key, space, complete) for key, space in sweep.parameters.items()],
            [trial.value or 0 for trial in complete],
            sweep.metric_name,
            units.pop() if len(units) == 1 else "",
            minimize=sweep.direction == "minimize",
        )
        with draft(folder / "results.png") as unfinished:
            figure.savefig(unfinished)


def _swept(key: str, space: Space, complete: list[FrozenTrial]) -> SweptParameter:
    values = [trial.params[key] for trial in complete]
    if isinstance(space, CategoricalDistribution):
        return SweptParameter(key, [*map(word, values)], [*map(word, space.choices)])
    return SweptParameter(key, values, log=space.log)


def ranked(sweep: SweepFile, trials: list[FrozenTrial]) -> list[FrozenTrial]:
    """The trials with a value, the best first."""
    complete = [trial for trial in trials if trial.value is not None]
    maximize = sweep.direction == "maximize"
    return sorted(complete, key=lambda trial: trial.value or 0, reverse=maximize)


def line(sweep: SweepFile, trial: FrozenTrial) -> str:
    """A trial that has ended, in one line."""
    short, about = short_names(sweep.parameters), trial.user_attrs
    values = ", ".join(f"{name} {brief(trial.params[key])}" for key, name in short.items())
    ended = f"failed: {about['error']}"
    if trial.value is not None:
        ended = f"{sweep.metric_name} {trial.value:.5g} ({about['seconds']:.0f} s)"
    return f"trial {about['number']}: {values}: {ended}"


def best_table(sweep: SweepFile, trials: list[FrozenTrial]) -> str:
    """The best trials as a table of text."""
    short = short_names(sweep.parameters)
    rows = [["trial", sweep.metric_name, *short.values(), "run"]]
    for trial in ranked(sweep, trials)[:BEST]:
        number, run = (str(trial.user_attrs[name]) for name in ("number", "directory"))
        rows.append([number, f"{trial.value:.5g}", *(brief(trial.params[k]) for k in short), run])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(n) for cell, n in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
