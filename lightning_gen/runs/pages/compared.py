"""The runs of a comparison: their names, where they differ, and which numbers may be compared."""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml

from lightning_gen.contracts import Conditional
from lightning_gen.errors import UserError
from lightning_gen.hyperparameters import short_names
from lightning_gen.models.autoencoder import DeterministicAutoencoder
from lightning_gen.quantities import Quantities, Quantity
from lightning_gen.runs.finished import FinishedRun, TrainedModel
from lightning_gen.runs.pages.record import ENDS_IN_DIMENSION, RunRecord

BEST = "best.ckpt"
MOST_TOLD, LONGEST = 3, 40
"""A label names at most so many settings, in so many letters."""

UNTOLD = (
    r"(name|ckpt_path|seed_everything|trainer(?!\.max_epochs).*"
    r"|data\.(root|num_workers|cache|images_on))(\.|$)"
)
"""Settings that name no run."""
UNCOUNTED = r"(name|ckpt_path|seed_everything|trainer\.logger|data\.(num_workers|cache))(\.|$)"
"""Settings in which runs of one group differ: they train the same, but for the seed."""
PUBLISHED = "data.download"
"""A setting of data that are the same wherever ``data.root`` is."""
MODULE = r"([a-z_]+[.])+(?=[A-Z])"

NO_PART_OF_THE_LOSS = (
    r"model\.((latent_dim|image_shape|class_names|architecture|widths|discriminator(_steps)?|prior"
    r"|optimizer|discriminator_optimizer|lr_scheduler|clip_norm|corruption|autoencoder_epochs)"
    r"(\.|$)|objective\.(warmup_steps|free_bits)$)"
)
"""Settings of a model that leave the loss in evaluation what it is; any other may change it."""

NO_PART_OF_THE_DATA = r"data\.(batch_size|num_workers|images_on|cache|download)(\.|$)"
LIMITS = {"val": "trainer.limit_val_batches", "test": "trainer.limit_test_batches"}


Settings = dict[str, list[str | None]]
"""The value of each key of the configuration in each run; None where a run has none."""


@dataclass(frozen=True)
class ComparedRun:
    """A run, or several that differ by their seeds alone, under a label that no other one has.

    The model is that of the first; ``records`` are the files of each.
    """

    label: str
    finished: FinishedRun
    records: Sequence[RunRecord]

    @property
    def record(self) -> RunRecord:
        """The files of the first."""
        return self.records[0]

    @property
    def seeds(self) -> list[int]:
        """The seed of each, where it is known."""
        return [r.environment["seed"] for r in self.records if "seed" in r.environment]

    @property
    def model(self) -> TrainedModel:
        """The first model with its weights."""
        return self.finished.model

    def values(self, column: str) -> list[float]:
        """The last value of a column in each run; an autoencoder's loss is its reconstruction.

        A test is of the best checkpoint: another one has no such value.
        """
        best = self.record.directory.checkpoints / BEST
        if column.startswith("test/") and best.is_file() and self.finished.checkpoint.name != BEST:
            return []
        names = [column]
        if isinstance(self.model, DeterministicAutoencoder):
            names.append(column.replace("/reconstruction", "/loss"))
        found = [next(filter(None, map(r.logged.last, names)), None) for r in self.records]
        return [point.value for point in found if point]

    @property
    def columns(self) -> dict[str, None]:
        """The columns of all records, in order; a set that keeps it."""
        found = dict.fromkeys(column for r in self.records for column in r.logged.curves)
        if isinstance(self.model, DeterministicAutoencoder):
            losses = [stage for stage in ("test", "val") if f"{stage}/loss" in found]
            found |= dict.fromkeys(f"{stage}/reconstruction" for stage in losses)
        return found


def open_all(places: Sequence[str | Path | FinishedRun], device: str) -> list[ComparedRun]:
    """Load two runs or more; a UserError where one is missing or twice, or their shapes differ."""
    if len(places) < 2:
        raise UserError(
            f"compare takes at least two runs, got {len(places)}. For one run use report."
        )
    finished = [
        place if isinstance(place, FinishedRun) else FinishedRun.open(place, device)
        for place in places
    ]
    records = [RunRecord.read(run.path) for run in finished]
    groups = _groups(records)
    first = [finished[group[0]] for group in groups]
    settings = compared_settings([records[group[0]].config for group in groups])
    labels = _labels(first, settings)
    shapes = ["x".join(map(str, run.image_shape)) for run in first]
    for label, shape in zip(labels, shapes, strict=True):
        if shape != shapes[0]:
            raise UserError(
                "compare draws the same images through every run, so they have one shape, and "
                f"{labels[0]} has {shapes[0]}, {label} {shape}. Compare runs of one shape "
                "(data.image_size)."
            )
    grouped = [[records[number] for number in group] for group in groups]
    return [*map(ComparedRun, labels, first, grouped)]


def _groups(records: Sequence[RunRecord]) -> list[list[int]]:
    """The numbers of runs that differ by their seeds alone; two of one seed are in two groups."""
    found: dict[object, list[dict[object, int]]] = {}
    for number, record in enumerate(records):
        settings = dict(flatten(record.config))
        if PUBLISHED in settings:
            settings.pop("data.root", None)
        told = frozenset(pair for pair in settings.items() if not re.match(UNCOUNTED, pair[0]))
        seed = record.environment.get("seed")
        groups = found.setdefault((told, record.prior) if seed is not None else number, [])
        if all(seed in group for group in groups):
            groups.append({})
        next(group for group in groups if seed not in group)[seed] = number
    return sorted([*group.values()] for groups in found.values() for group in groups)


def _labels(runs: Sequence[FinishedRun], settings: Settings) -> list[str]:
    """The names that the user gave, or what differs, or else what tells the runs apart."""
    name = [run.name for run in runs]
    short = [run.name.rpartition("/")[0] for run in runs]
    long = [f"{run.name}/{run.checkpoint.stem}" for run in runs]
    told = {key: values for key, values in differing(settings).items() if not re.match(UNTOLD, key)}
    last = [(short_names(told)[key], values) for key, values in told.items()]
    by_settings = [  # such as "latent_dim 8, beta 4"
        ", ".join(f"{key} {re.sub(MODULE, '', values[number] or 'none')}" for key, values in last)
        for number in range(len(runs) if len(last) <= MOST_TOLD else 0)
    ]
    numbered = any(re.match(r"trial_\d+", each) for each in short)  # of a sweep
    first = (by_settings, short) if numbered else (short, by_settings)
    for labels in (*first, name, long):
        fit = all(0 < len(label) <= LONGEST or labels is not by_settings for label in labels)
        if fit and len(set(labels)) == len(runs) and all(labels):
            return labels
    twice = next(label for label in long if long.count(label) > 1)
    raise UserError(f"{twice} stands there twice, or another run has its name. Leave one out.")


def compared_settings(configs: Sequence[dict[str, Any]]) -> Settings:
    """All settings but the name of a run."""
    flat = [dict(flatten(config)) for config in configs]
    keys = dict.fromkeys(key for settings in flat for key in settings if key != "name")
    return {key: [settings.get(key) for settings in flat] for key in keys}


def differing(settings: Settings) -> Settings:
    """Those that are not the same in all runs."""
    return {key: values for key, values in settings.items() if len(set(values)) > 1}


def flatten(value: object, key: str = "") -> Iterator[tuple[str, str]]:
    """``{class_path: VAE, init_args: {beta: 1}}`` at "model" is ``model: VAE, model.beta: 1``."""
    if not isinstance(value, dict) or not value:
        text = yaml.safe_dump(value, default_flow_style=True, width=1000).strip()
        yield key, text.removesuffix("...").strip()
        return
    for name, part in value.items():
        if name == "class_path":
            yield from flatten(part, key)
        elif name == "init_args" and isinstance(part, dict):
            for argument, inner in part.items():
                yield from flatten(inner, f"{key}.{argument}")
        else:
            yield from flatten(part, f"{key}.{name}".lstrip("."))


class ComparedMetric(NamedTuple):
    """A column of metrics.csv: its value in each run, and the number of the best run.

    Of several seeds the value is the mean of those that have it, ``counts`` of them, and
    ``deviations`` has the standard deviation.
    ``fault`` says why the values cannot be compared; empty where they can.
    """

    column: str
    quantity: Quantity
    values: list[float | None]
    deviations: list[float | None]
    counts: list[int]
    best: int | None
    fault: str


def compared_metrics(runs: Sequence[ComparedRun]) -> list[ComparedMetric]:
    """All metrics of validation and test, and of samples; what any of the runs has."""
    columns = {column for run in runs for column in run.columns}
    shown = [c for c in columns if not c.startswith(("train/", ENDS_IN_DIMENSION))]
    known, stages = quantities_of(runs), {"test": 0, "val": 1}
    shown.sort(key=lambda c: (stages.get(c.partition("/")[0], 2), known.place(c)))
    found = []
    for column in shown:
        quantity, of_seeds = known.of(column), [run.values(column) for run in runs]
        with np.errstate(invalid="ignore"):  # of NaN and infinity
            values = [float(np.mean(each)) if each else None for each in of_seeds]
            spread = [float(np.std(each, ddof=1)) if len(each) > 1 else None for each in of_seeds]
        having = [run for run, value in zip(runs, values, strict=True) if value is not None]
        fault = comparison_fault(column, quantity, having) if len(having) > 1 else ""
        best = None if fault else _best(quantity, values)
        counts = [*map(len, of_seeds)]
        found.append(ComparedMetric(column, quantity, values, spread, counts, best, fault))
    return found


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


def _best(quantity: Quantity, values: Sequence[float | None]) -> int | None:
    """The number of the run that alone has the best value, of two at least."""
    finite = [value for value in values if value is not None and math.isfinite(value)]
    if not quantity.better or not finite or values.count(None) > len(values) - 2:
        return None
    best = min(finite) if quantity.better == "lower" else max(finite)
    return values.index(best) if values.count(best) == 1 else None


def comparison_fault(column: str, quantity: Quantity, runs: Sequence[ComparedRun]) -> str:
    """Why a metric means different things in two runs or more; empty where it does not.

    Two losses are the same where the class of the model is and every setting that is not known to
    leave the loss alone: whatever a new objective brings makes it another one.
    """
    stage, basis = column.partition("/")[0], quantity.basis
    if basis == "judge":
        return "each run is judged by a discriminator of its own"
    settings = compared_settings([run.record.config for run in runs])
    others = differing(settings).keys()
    if "data" in others:
        return "the datasets differ"
    published = PUBLISHED in settings
    if split := sorted(key for key in others if _of_the_split(key, stage, published)):
        return f"the images differ ({', '.join(split)})"
    if basis == "data":
        return ""
    if any(key.startswith("model.likelihood") for key in others):
        return "the likelihoods differ"
    if len({isinstance(run.model, Conditional) for run in runs}) > 1:
        return "one is told the condition of an image"
    if basis == "likelihood":
        return ""
    if "model" in others:
        return "the losses are made of different terms"
    of_model = sorted(key for key in others if key.startswith("model."))
    terms = [key for key in of_model if not re.match(NO_PART_OF_THE_LOSS, key)]
    return f"the losses differ ({', '.join(terms)})" if terms else ""


def _of_the_split(key: str, stage: str, published: bool) -> bool:
    """Whether a setting decides which images a split has, or what they look like."""
    if (key == "data.root" and published) or (key == "data.val_fraction" and stage == "test"):
        return False
    of_data = key.startswith("data.") and not re.match(NO_PART_OF_THE_DATA, key)
    return of_data or key == LIMITS.get(stage)
