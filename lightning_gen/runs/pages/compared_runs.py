"""The runs of a comparison, their names, and where their configurations differ."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lightning_gen.errors import UserError
from lightning_gen.models.autoencoder import DeterministicAutoencoder
from lightning_gen.runs.finished import FinishedRun, TrainedModel
from lightning_gen.runs.pages.record import RunRecord

MOST_TOLD, LONGEST = 3, 40
"""A label names at most so many settings, in so many letters."""

UNTOLD = (
    r"(name|ckpt_path|trainer(?!\.max_epochs).*|data\.(root|num_workers|cache|images_on))(\.|$)"
)
"""Settings that name no run."""
MODULE = r"([a-z_]+[.])+(?=[A-Z])"


Settings = dict[str, list[str | None]]
"""The value of each key of the configuration in each run; None where a run has none."""


@dataclass(frozen=True)
class ComparedRun:
    """A run with its model, its files, and a label that no other run of the comparison has."""

    label: str
    finished: FinishedRun
    record: RunRecord

    @property
    def model(self) -> TrainedModel:
        """The model with its weights."""
        return self.finished.model

    @property
    def settings(self) -> dict[str, str]:
        """The configuration by its keys as the command line writes them."""
        return dict(flatten(self.record.config))

    @property
    def metrics(self) -> dict[str, float]:
        """The last value of each column; an autoencoder's loss is its reconstruction."""
        found = {column: points[-1].value for column, points in self.record.logged.curves.items()}
        if isinstance(self.model, DeterministicAutoencoder):
            for stage in ("test", "val"):
                if f"{stage}/loss" in found:
                    found.setdefault(f"{stage}/reconstruction", found[f"{stage}/loss"])
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
    labels = _labels(finished, compared_settings([record.config for record in records]))
    shapes = ["x".join(map(str, run.image_shape)) for run in finished]
    for label, shape in zip(labels, shapes, strict=True):
        if shape != shapes[0]:
            raise UserError(
                "compare draws the same images through every run, so they have one shape, and "
                f"{labels[0]} has {shapes[0]}, {label} {shape}. Compare runs of one shape "
                "(data.image_size)."
            )
    return [*map(ComparedRun, labels, finished, records)]


def _labels(runs: Sequence[FinishedRun], settings: Settings) -> list[str]:
    """The names that the user gave, or what differs, or else what tells the runs apart."""
    name = [run.name for run in runs]
    short = [run.name.rpartition("/")[0] for run in runs]
    long = [f"{run.name}/{run.checkpoint.stem}" for run in runs]
    told = {key: values for key, values in differing(settings).items() if not re.match(UNTOLD, key)}
    by_settings = [_told(told, number) for number in range(len(runs))]
    numbered = any(re.fullmatch(r"trial_\d+", each) for each in short)  # of a sweep
    first = (by_settings, short) if numbered else (short, by_settings)
    for labels in (*first, name, long):
        fit = all(0 < len(label) <= LONGEST or labels is not by_settings for label in labels)
        if fit and len(set(labels)) == len(runs) and all(labels):
            return labels
    twice = next(label for label in long if long.count(label) > 1)
    raise UserError(f"{twice} stands there twice, or another run has its name. Leave one out.")


def _told(settings: Settings, number: int) -> str:
    """``latent_dim 8, beta 4``; empty where more settings differ than a name can tell."""
    parts = [
        f"{key.rpartition('.')[2]} {re.sub(MODULE, '', values[number] or 'none')}"
        for key, values in settings.items()
    ]
    return ", ".join(parts) if len(parts) <= MOST_TOLD else ""


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
