"""The metrics of several runs, side by side, and which of them may be compared."""

import math
import re
from collections.abc import Sequence
from typing import NamedTuple

from lightning_gen.contracts import Conditional
from lightning_gen.runs.pages.compared_runs import ComparedRun
from lightning_gen.runs.pages.record import ENDS_IN_DIMENSION

LESS_IS_BETTER = ("loss", "reconstruction", "bits_per_dimension", "denoised_mse")
MORE_IS_BETTER = ("denoised_psnr",)
OF_THE_LIKELIHOOD = ("loss", "reconstruction", "bits_per_dimension")
OF_ITS_OWN_JUDGE = (
    *("discriminator_loss", "generator_loss", "adversarial", "penalty"),
    *("real_score", "fake_score", "prior_score", "code_score"),
)
"""Measured by a discriminator that was trained in the same run."""

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
        values: one a run; None where it has none.
        best: the number of the run that is best by it; None where there is none.
        fault: why the values cannot be compared; empty where they can.
    """

    column: str
    values: list[float | None]
    best: int | None
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


def leader(metrics: Sequence[ComparedMetric]) -> ComparedMetric | None:
    """The first metric that tells the runs apart."""
    told = (metric for metric in metrics if metric.best is not None and None not in metric.values)
    return next(told, None)


def _place(column: str) -> tuple[int, int, str]:
    stage, _, name = column.partition("/")
    stages, names = ("test", "val"), ("loss", "reconstruction", "kl", "bits_per_dimension")
    return (
        stages.index(stage) if stage in stages else len(stages),
        names.index(name) if name in names else len(names),
        column,
    )


def _compare(
    column: str, values: list[float | None], runs: Sequence[ComparedRun]
) -> ComparedMetric:
    having = [run for run, value in zip(runs, values, strict=True) if value is not None]
    fault = comparison_fault(column, having)
    return ComparedMetric(column, values, None if fault else _best(column, values), fault)


def _best(column: str, values: Sequence[float | None]) -> int | None:
    """The number of the run that alone has the best value, of two at least."""
    name = column.partition("/")[2]
    choose = min if name in LESS_IS_BETTER else max if name in MORE_IS_BETTER else None
    finite = [value for value in values if value is not None and math.isfinite(value)]
    if choose is None or not finite or values.count(None) > len(values) - 2:
        return None
    best = choose(finite)
    return values.index(best) if values.count(best) == 1 else None


def comparison_fault(column: str, runs: Sequence[ComparedRun]) -> str:
    """Why the values of a metric mean different things in these runs; empty where they do not.

    Two losses are the same where the class of the model is and every setting that is not known to
    leave the loss alone: whatever a new objective brings makes it another one.
    """
    if len(runs) < 2:
        return ""
    stage, _, name = column.partition("/")
    if name in OF_ITS_OWN_JUDGE:
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
    if name not in OF_THE_LIKELIHOOD:
        return ""
    if any(key.startswith("model.likelihood") for key in differing):
        return "the likelihoods differ"
    if len({isinstance(run.model, Conditional) for run in runs}) > 1:
        return "one is told the condition of an image"
    if name == "reconstruction":
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
