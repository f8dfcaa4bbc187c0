"""The runs of a comparison."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lightning.pytorch import LightningModule

from lightning_gen.errors import UserError
from lightning_gen.models.autoencoder import DeterministicAutoencoder
from lightning_gen.runs.finished import FinishedRun
from lightning_gen.runs.pages.record import RunRecord


@dataclass(frozen=True)
class ComparedRun:
    """A run with its model.

    Attributes:
        label: a name that no other run of the comparison has.
        finished: the model and its dataset.
        record: what its files say.
    """

    label: str
    finished: FinishedRun
    record: RunRecord

    @property
    def model(self) -> LightningModule:
        """The model with its weights."""
        return self.finished.model

    @property
    def metrics(self) -> dict[str, float]:
        """The last value of each column; an autoencoder's loss is its reconstruction."""
        logged = self.record.logged
        found = {c: point.value for c in logged.columns if (point := logged.last(c)) is not None}
        if isinstance(self.model, DeterministicAutoencoder):
            for stage in ("test", "val"):
                if f"{stage}/loss" in found:
                    found.setdefault(f"{stage}/reconstruction", found[f"{stage}/loss"])
        return found


def open_all(places: Sequence[str], device: str) -> list[ComparedRun]:
    """Load the runs.

    Raises:
        UserError: there are fewer than two, one does not exist or stands there twice, or their
            images differ in shape.
    """
    if len(places) < 2:
        raise UserError(
            f"compare takes at least two runs, got {len(places)}. For one run use report."
        )
    records = [RunRecord.read(Path(place)) for place in places]
    finished = [FinishedRun.open(place, device) for place in places]
    runs = [ComparedRun(*parts) for parts in zip(_labels(finished), finished, records, strict=True)]
    first = runs[0]
    for run in runs[1:]:
        if run.finished.image_shape != first.finished.image_shape:
            raise UserError(
                "compare draws the same images through every run, so they have one shape, and "
                f"{first.label} has {_shape(first)}, {run.label} {_shape(run)}. Compare runs of "
                "one shape (data.image_size)."
            )
    return runs


def _labels(runs: Sequence[FinishedRun]) -> list[str]:
    """The shortest names that tell the runs apart."""
    name = [run.name for run in runs]
    short = [run.name.rpartition("/")[0] for run in runs]
    long = [f"{run.name}/{run.checkpoint.stem}" for run in runs]
    for labels in (short, name, long):
        if len(set(labels)) == len(runs) and all(labels):
            return labels
    twice = next(label for label in long if long.count(label) > 1)
    raise UserError(f"{twice} stands there twice, or another run has its name. Leave one out.")


def _shape(run: ComparedRun) -> str:
    return "x".join(map(str, run.finished.image_shape))
