"""Images for a finished run, and those of a split of its dataset."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any, Literal, NamedTuple

from torch.utils.data import DataLoader

from lightning_gen.contracts import Batch, as_batch, info_of
from lightning_gen.data import ImageDataModule
from lightning_gen.data.base import STAGES
from lightning_gen.data.loader import BatchLoader
from lightning_gen.data.trainer import check_labels
from lightning_gen.errors import UserError
from lightning_gen.progress import progress
from lightning_gen.runs.finished import FinishedRun
from lightning_gen.training.checkpoint import load_checkpoint

SplitName = Literal["train", "val", "test"]


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
        """The batches of the first ``limit`` images, with a progress bar; a UserError without."""
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
        batch = Batch.joined([part.batch for part in parts])
        return NamedBatch(batch, [name for part in parts for name in part.names])


class SplitInputs(Inputs):
    """A split of the run's dataset, in its loader's order; "train" is without validation images.

    An image is called by its file, or ``test/00042`` by its place in the files of the dataset,
    those of its training images for "val" where these are cut from them.
    """

    def __init__(self, run: FinishedRun, split: SplitName, batch_size: int | None = None) -> None:
        self._run = run
        self.split: SplitName = split
        self._batch_size = batch_size

    @cached_property
    def loader(self) -> Iterable[Any]:
        """The batches, loaded when first asked for; a UserError where there is no such split."""
        data = self._run.data
        data.prepare_data()
        data.setup(STAGES[self.split])
        if isinstance(data, ImageDataModule):
            check_labels(data.splits[self.split], self.split, self._run.model)
            kept = load_checkpoint(self._run.checkpoint)
            data.load_state_dict(kept.get(type(data).__qualname__, {}))  # warns of other images
            return data.in_order(self.split, self._batch_size)
        own = getattr(data, f"{self.split}_dataloader")()
        if not isinstance(own, DataLoader):
            raise UserError(
                f"{type(data).__name__}.{self.split}_dataloader gives no DataLoader, so this split "
                "cannot be read. Pass images of your own with --images."
            )
        return own

    @property
    def class_names(self) -> tuple[str, ...]:  # type: ignore[override]
        """Those of the dataset."""
        return self._run.class_names

    @property
    def factor_names(self) -> tuple[str, ...]:  # type: ignore[override]
        """Those of the dataset."""
        info = info_of(self._run.data)
        return info.factor_names if info else ()

    @cached_property
    def _size(self) -> int:
        if isinstance(self.loader, BatchLoader):
            return self.loader.num_images
        # A dataset may hold whole batches, so that its length says nothing.
        return sum(len(as_batch(batch).images) for batch in self.loader)

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[NamedBatch]:
        shape = self._run.model.hparams.get("image_shape")
        start = 0
        for part in self.loader.named() if isinstance(self.loader, BatchLoader) else self.loader:
            if isinstance(self.loader, BatchLoader):
                batch, places = part
            else:
                batch = as_batch(part)
                places = [*range(start, start + len(batch.images))]
            start += len(places)
            if shape is not None and (found := tuple(batch.images.shape[1:])) != tuple(shape):
                raise UserError(
                    f"the dataset of {self._run.name} gives images of {'x'.join(map(str, found))}, "
                    f"and its model takes {'x'.join(map(str, shape))}: its config.yaml was "
                    "changed. Pass images of your own with --images."
                )
            moved = Batch(*(tensor.to(self._run.model.device) for tensor in batch))
            names = [p if isinstance(p, str) else f"{self.split}/{p:05}" for p in places]
            yield NamedBatch(self._run.data.on_after_batch_transfer(moved, 0), names)
