"""Images for a finished run, and those of a split of its dataset."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import NamedTuple

import torch

from lightning_gen.contracts import Batch
from lightning_gen.data.progress import progress
from lightning_gen.errors import UserError
from lightning_gen.runs.finished import FinishedRun
from lightning_gen.runs.splits import SplitName, load_split


class NamedBatch(NamedTuple):
    """Images in [0, 1] on the model's device, with a name for each."""

    batch: Batch
    names: list[str]


class Inputs(ABC):
    """Images in a fixed order, a batch at a time.

    Attributes:
        class_names: a name for each label; empty where there are no classes.
    """

    class_names: tuple[str, ...]

    @abstractmethod
    def __len__(self) -> int:
        """How many images there are, broken files included."""

    @abstractmethod
    def __iter__(self) -> Iterator[NamedBatch]:
        """The batches; a broken file is left out."""

    def note(self) -> str | None:
        """One line about what was left out; None where nothing was."""
        return None

    def shown(self, task: str, limit: int | None = None) -> Iterator[NamedBatch]:
        """The batches of the first ``limit`` images, with a progress bar."""
        missing = min(len(self), len(self) if limit is None else limit)
        with progress(missing, task) as bar:
            for batch, names in self if missing else ():
                part = NamedBatch(batch.first(missing), names[:missing])
                yield part
                bar.update(len(part.names))
                missing -= len(part.names)
                if missing == 0:
                    return

    def first(self, count: int) -> NamedBatch:
        """The first images as one batch.

        Raises:
            UserError: there are none.
        """
        parts = list(self.shown("reading images", count))
        if not parts:
            raise UserError("expected at least one image, found none. Pass others with --images.")
        batch = Batch(*(torch.cat(p) for p in zip(*(part.batch for part in parts), strict=True)))
        return NamedBatch(batch, [name for part in parts for name in part.names])


class SplitInputs(Inputs):
    """A split of the run's dataset, in its own order; names are ``test/00042``.

    Args:
        run: the finished run.
        split: "train" (without the validation images), "val" or "test".
        batch_size: images a batch; None takes that of the training.
    """

    def __init__(self, run: FinishedRun, split: SplitName, batch_size: int | None = None) -> None:
        self.split = load_split(run.data, split, batch_size)
        self.class_names = run.class_names
        self._name = split
        self._device = run.model.device

    def __len__(self) -> int:
        return len(self.split)

    def __iter__(self) -> Iterator[NamedBatch]:
        start = 0
        for batch in self.split.batches(self._device):
            numbers = range(start, start + len(batch.images))
            yield NamedBatch(batch, [f"{self._name}/{number:05}" for number in numbers])
            start += len(batch.images)
