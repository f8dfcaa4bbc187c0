"""The metrics of several runs, side by side, and which of them may be compared."""

import math
import re
from collections.abc import Sequence
from typing import NamedTuple

from lightning_gen.contracts import Conditional
from lightning_gen.quantities import Quantities, Quantity
from lightning_gen.runs.pages.compared_runs import ComparedRun
from lightning_gen.runs.pages.record import ENDS_IN_DIMENSION

NO_PART_OF_THE_LOSS = (
    r"model\.((latent_dim|image_shape|class_names|architecture|widths|discriminator(_steps)?|prior"
    r"|optimizer|discriminator_optimizer|lr_scheduler|clip_norm|corruption|autoencoder_epochs)"
    r"(\.|$)|objective\.(warmup_steps|free_bits)$)"
)
"""Settings of a model that leave the loss in evaluation what it is; any other may change it."""

NO_PART_OF_THE_DATA = r"data\.(batch_size|num_workers|images_on|cache|download)(\.|$)"
LIMITS = {"val": "trainer.limit_val_batches", "test": "trainer.limit_test_batches"}


class ComparedMetric(NamedTuple):
    """A metric of all runs.

    Attributes:
        column: of metrics.csv.
        quantity: what it is.
        values: one a run; None where it has none.
        best: the number of the run that is best by it; None where there is none.
        fault: why the values cannot be compared; empty where they can.
    """

    column: str
    quantity: Quantity
    values: list[float | None]
    best: int | None
    fault: str


def compared_metrics(runs: Sequence[ComparedRun]) -> list[ComparedMetric]:
    """All metrics of validation and test, and of samples; what any of the runs has."""
    values = [run.metrics for run in runs]
    columns = dict.fromkeys(column for metrics in values for column in metrics)
    shown = [c for c in columns if not c.startswith(("train/", ENDS_IN_DIMENSION))]
    known = quantities_of(runs)
    ordered = sorted(shown, key=lambda c: (_stage(c), known.place(c)))
    return [
        _compare(column, known.of(column), [metrics.get(column) for metrics in values], runs)
        for column in ordered
    ]


def quantities_of(runs: Sequence[ComparedRun]) -> Quantities:
    """What the columns of all runs are, those of the first run first."""
    found = Quantities()
    for run in runs:
        for name, quantity in run.record.quantities.items():
            found.setdefault(name, quantity)
    return found


def leader(metrics: Sequence[ComparedMetric]) -> ComparedMetric | None:
    """The first metric that tells the runs apart."""
    told = (metric for metric in metrics if metric.best is not None and None not in metric.values)
    return next(told, None)


def _stage(column: str) -> int:
    return {"test": 0, "val": 1}.get(column.partition("/")[0], 2)


def _compare(
    column: str, quantity: Quantity, values: list[float | None], runs: Sequence[ComparedRun]
) -> ComparedMetric:
    having = [run for run, value in zip(runs, values, strict=True) if value is not None]
    fault = comparison_fault(column, quantity, having)
    best = None if fault else _best(quantity, values)
    return ComparedMetric(column, quantity, values, best, fault)


def _best(quantity: Quantity, values: Sequence[float | None]) -> int | None:
    """The number of the run that alone has the best value, of two at least."""
    finite = [value for value in values if value is not None and math.isfinite(value)]
    if not quantity.better or not finite or values.count(None) > len(values) - 2:
        return None
    best = min(finite) if quantity.better == "lower" else max(finite)
    return values.index(best) if values.count(best) == 1 else None


def comparison_fault(column: str, quantity: Quantity, runs: Sequence[ComparedRun]) -> str:
    """Why the values of a metric mean different things in these runs; empty where they do not.

    Two losses are the same where the class of the model is and every setting that is not known to
    leave the loss alone: whatever a new objective brings makes it another one.
    """
    if len(runs) < 2:
        return ""
    stage, basis = column.partition("/")[0], quantity.basis
    if basis == "judge":
        return "each run is judged by a discriminator of its own"
    settings = [run.settings for run in runs]
    differing = {
        key
        for key in {key for each in settings for key in each}
        if len({each.get(key) for each in settings}) > 1
    }
    if "data" in differing:
        return "the datasets differ"
    if split := sorted(key for key in differing if _of_the_split(key, stage, settings)):
        return f"the images differ ({', '.join(split)})"
    if basis == "data":
        return ""
    if any(key.startswith("model.likelihood") for key in differing):
        return "the likelihoods differ"
    if len({isinstance(run.model, Conditional) for run in runs}) > 1:
        return "one is told the condition of an image"
    if basis == "likelihood":
        return ""
    if "model" in differing:
        return "the losses are made of different terms"
    terms = [
        k for k in differing if k.startswith("model.") and not re.match(NO_PART_OF_THE_LOSS, k)
    ]
    return f"the losses differ ({', '.join(sorted(terms))})" if terms else ""


def _of_the_split(key: str, stage: str, settings: Sequence[dict[str, str]]) -> bool:
    """Whether a setting decides which images a split has, or what they look like."""
    if key == LIMITS.get(stage):
        return True
    if key == "data.root" and any("data.download" in each for each in settings):
        return False  # published files, wherever they lie
    if key == "data.val_fraction" and stage == "test":
        return False
    return key.startswith("data.") and not re.match(NO_PART_OF_THE_DATA, key)
