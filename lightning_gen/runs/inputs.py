"""Images for a finished run, and those of a split of its dataset."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple

import torch

from lightning_gen.contracts import Batch
from lightning_gen.data import ImageDataModule
from lightning_gen.errors import UserError
from lightning_gen.progress import progress
from lightning_gen.runs.finished import FinishedRun
from lightning_gen.runs.splits import LoadedSplit, SplitName, load_split


class NamedBatch(NamedTuple):
    """Images in [0, 1] on the model's device, with a name for each."""

    batch: Batch
    names: list[str]


class Inputs(ABC):
    """Images in a fixed order, a batch at a time.

    Attributes:
        class_names: a name for each label; empty where there are no classes.
        factor_names: a name for each factor; empty where there are none.
    """

    class_names: tuple[str, ...] = ()
    factor_names: tuple[str, ...] = ()

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
        """The batches of the first ``limit`` images, with a progress bar.

        Raises:
            UserError: there is not one.
        """
        wanted = len(self) if limit is None else min(len(self), limit)
        count = 0
        with progress(wanted, task) as bar:
            for batch, names in self:
                part = NamedBatch(batch.first(wanted - count), names[: wanted - count])
                yield part
                bar.update(len(part.names))
                count += len(part.names)
                if count == wanted:
                    return
        if count == 0:
            raise UserError(self.note() or "expected at least one image, found none.")

    def first(self, count: int) -> NamedBatch:
        """The first images as one batch."""
        parts = list(self.shown("reading images", count))
        batch = Batch(*(torch.cat(p) for p in zip(*(part.batch for part in parts), strict=True)))
        return NamedBatch(batch, [name for part in parts for name in part.names])


class SplitInputs(Inputs):
    """A split of the run's dataset, in its loader's order; see :meth:`LoadedSplit.named`.

    Args:
        run: the finished run.
        split: "train" (without the validation images), "val" or "test".
        batch_size: images a batch; None takes that of the training.
    """

    def __init__(self, run: FinishedRun, split: SplitName, batch_size: int | None = None) -> None:
        self._run = run
        self._name = split
        self._batch_size = batch_size

    @cached_property
    def split(self) -> LoadedSplit:
        """The split, loaded when it is first asked for."""
        split = load_split(self._run.data, self._name, self._batch_size)
        if isinstance(split.data, ImageDataModule):
            split.data.check_labels(self._name, self._run.model)
        return split

    @property
    def class_names(self) -> tuple[str, ...]:  # type: ignore[override]
        """Those of the dataset."""
        return self._run.class_names

    @property
    def factor_names(self) -> tuple[str, ...]:  # type: ignore[override]
        """Those of the dataset."""
        return tuple(getattr(self._run.data, "factor_names", ()))

    def __len__(self) -> int:
        return len(self.split)

    def __iter__(self) -> Iterator[NamedBatch]:
        shape = self._run.model.hparams.get("image_shape")
        for batch, names in self.split.named(self._run.model.device):
            if shape is not None and (found := tuple(batch.images.shape[1:])) != tuple(shape):
                raise UserError(
                    f"the dataset of {self._run.name} gives images of {'x'.join(map(str, found))}, "
                    f"and its model takes {'x'.join(map(str, shape))}: its config.yaml was "
                    "changed. Pass images of your own with --images."
                )
            yield NamedBatch(batch, names)
