"""A split of a dataset outside of a training."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader

from lightning_gen.contracts import Batch, as_batch
from lightning_gen.data import ImageDataModule
from lightning_gen.data.base import STAGES
from lightning_gen.data.loader import BatchLoader
from lightning_gen.errors import UserError

SplitName = Literal["train", "val", "test"]


@dataclass(frozen=True)
class LoadedSplit:
    """The batches of a split in a fixed order, and the number of its images.

    Attributes:
        data: the dataset.
        name: of the split.
        loader: its batches.
        size: the number of its images.
    """

    data: LightningDataModule
    name: SplitName
    loader: Iterable[Any]
    size: int

    def __len__(self) -> int:
        return self.size

    def batches(self, device: torch.device) -> Iterator[Batch]:
        """Batches as a model gets them: images in [0, 1], on the device."""
        for batch, _ in self.named(device):
            yield batch

    def named(self, device: torch.device) -> Iterator[tuple[Batch, list[str]]]:
        """Batches with a name for each image: its file, or ``test/00042`` for its place.

        That is the place in the files of the dataset, those of its training images for "val" where
        these are cut from them.
        """
        start = 0
        for part in self.loader.named() if isinstance(self.loader, BatchLoader) else self.loader:
            if isinstance(self.loader, BatchLoader):
                batch, places = part
            else:
                batch = as_batch(part)
                places = [*range(start, start + len(batch.images))]
            start += len(places)
            moved = Batch(*(tensor.to(device) for tensor in batch))
            names = [p if isinstance(p, str) else f"{self.name}/{p:05}" for p in places]
            yield self.data.on_after_batch_transfer(moved, 0), names


def load_split(
    data: LightningDataModule, split: SplitName, batch_size: int | None = None
) -> LoadedSplit:
    """Load a split.

    Args:
        data: the dataset.
        split: which one.
        batch_size: images a batch; None takes the dataset's.

    Raises:
        UserError: the dataset has no such split.
    """
    data.prepare_data()
    data.setup(STAGES[split])
    if isinstance(data, ImageDataModule):
        loader = data.in_order(split, batch_size)
        return LoadedSplit(data, split, loader, loader.num_images)
    own = getattr(data, f"{split}_dataloader")()
    if not isinstance(own, DataLoader):
        raise UserError(
            f"{type(data).__name__}.{split}_dataloader gives no DataLoader, so this split cannot "
            "be read. Pass images of your own with --images."
        )
    # A dataset may hold whole batches, so that its length says nothing.
    return LoadedSplit(data, split, own, sum(len(as_batch(batch).images) for batch in own))
