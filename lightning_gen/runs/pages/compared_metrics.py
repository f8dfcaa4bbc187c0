"""The metrics of several runs, side by side, and which of them may be compared."""

import math
from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple

from lightning_gen.contracts import Conditional
from lightning_gen.runs.pages.compared_runs import ComparedRun
from lightning_gen.runs.pages.logged import ENDS_IN_DIMENSION, unit
from lightning_gen.runs.pages.record import class_name

LESS_IS_BETTER = ("loss", "reconstruction", "bits_per_dimension", "denoised_mse")
MORE_IS_BETTER = ("denoised_psnr",)
OF_THE_LIKELIHOOD = ("loss", "reconstruction", "bits_per_dimension")
OF_ITS_OWN_JUDGE = (
    *("discriminator_loss", "generator_loss", "adversarial", "penalty"),
    *("real_score", "fake_score", "prior_score", "code_score"),
)
"""Measured by a discriminator that was trained in the same run."""

TERMS = ("kl", "mmd", "adversarial", "commitment")
WEIGHTS = ("beta", "alpha", "weight", "lambda_")
"""Arguments that weight the terms of a loss."""


class Cell(NamedTuple):
    """The value of a run, None where it has none; its difference from the first run."""

    value: float | None
    difference: float | None
    best: bool


class ComparedMetric(NamedTuple):
    """A metric of all runs.

    Attributes:
        column: of metrics.csv.
        unit: empty where it has none.
        cells: one a run.
        fault: why the values cannot be compared; empty where they can.
    """

    column: str
    unit: str
    cells: list[Cell]
    fault: str


def compared_metrics(runs: Sequence[ComparedRun]) -> list[ComparedMetric]:
    """All metrics of validation and test, and of samples; what any of the runs has."""
    values = [run.metrics for run in runs]
    columns = dict.fromkeys(column for metrics in values for column in metrics)
    shown = [c for c in columns if not c.startswith(("train/", ENDS_IN_DIMENSION))]
    return [
        _compare(column, [metrics.get(column) for metrics in values], runs)
        for column in sorted(shown, key=_place)
    ]


def leader(metrics: Sequence[ComparedMetric]) -> tuple[ComparedMetric, int] | None:
    """The first metric that tells the runs apart, and the number of its best run."""
    for metric in metrics:
        best = [number for number, cell in enumerate(metric.cells) if cell.best]
        if best and all(cell.value is not None for cell in metric.cells):
            return metric, best[0]
    return None


def _place(column: str) -> tuple[int, int, str]:
    stage, _, name = column.partition("/")
    stages, names = ("test", "val"), ("loss", "reconstruction", "kl", "bits_per_dimension")
    return (
        stages.index(stage) if stage in stages else len(stages),
        names.index(name) if name in names else len(names),
        column,
    )


def _compare(
    column: str, values: Sequence[float | None], runs: Sequence[ComparedRun]
) -> ComparedMetric:
    name = column.partition("/")[2]
    having = [run for run, value in zip(runs, values, strict=True) if value is not None]
    fault = comparison_fault(name, having)
    best = None if fault or len(having) < 2 else _best(name, values)
    first = values[0]
    cells = [
        Cell(
            value,
            None if fault or number == 0 or value is None or first is None else value - first,
            value is not None and value == best,
        )
        for number, value in enumerate(values)
    ]
    return ComparedMetric(column, unit(column), cells, fault)


def _best(name: str, values: Sequence[float | None]) -> float | None:
    finite = [value for value in values if value is not None and math.isfinite(value)]
    if name in LESS_IS_BETTER:
        return min(finite, default=None)
    return max(finite, default=None) if name in MORE_IS_BETTER else None


def comparison_fault(name: str, runs: Sequence[ComparedRun]) -> str:
    """Why the values of a metric mean different things in these runs; empty where they do not."""
    if len(runs) < 2:
        return ""
    if name in OF_ITS_OWN_JUDGE:
        return "each run is judged by a discriminator of its own"
    if _differ(runs, _data):
        return "the datasets differ"
    if name in OF_THE_LIKELIHOOD and _differ(
        runs, lambda run: run.record.arguments.get("likelihood")
    ):
        return "the likelihoods differ"
    if name == "loss" and _differ(runs, _terms):
        return "the losses are made of different terms"
    if name in OF_THE_LIKELIHOOD and _differ(runs, lambda r: isinstance(r.model, Conditional)):
        return "one is told the condition of an image"
    return ""


def _differ(runs: Sequence[ComparedRun], of: Callable[[ComparedRun], Any]) -> bool:
    return len({repr(of(run)) for run in runs}) > 1


def _data(run: ComparedRun) -> Hashable:
    data = run.record.config.get("data")
    arguments = (data.get("init_args") or {}) if isinstance(data, dict) else {}
    return class_name(data), arguments.get("binarize")


def _terms(run: ComparedRun) -> Any:  # noqa: ANN401
    """The parts of a loss that were logged, and their weights."""
    logged = {column.partition("/")[2] for column in run.metrics}
    objective = run.record.arguments.get("objective")
    arguments = run.record.arguments | (objective if isinstance(objective, dict) else {})
    weights = {name: arguments.get(name, 1.0) for name in WEIGHTS}
    return [name for name in TERMS if name in logged], weights
