"""A split of a dataset outside of a training."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader

from lightning_gen.contracts import Batch
from lightning_gen.data import ImageDataModule
from lightning_gen.errors import UserError

SplitName = Literal["train", "val", "test"]
STAGES = {"train": "fit", "val": "fit", "test": "test"}


@dataclass(frozen=True)
class LoadedSplit:
    """The batches of a split in a fixed order, and the number of its images."""

    data: LightningDataModule
    loader: Iterable[Batch]
    size: int

    def __len__(self) -> int:
        return self.size

    def batches(self, device: torch.device) -> Iterator[Batch]:
        """Batches as a model gets them: images in [0, 1], on the device."""
        for batch in self.loader:
            moved = Batch(*(tensor.to(device) for tensor in batch))
            yield self.data.on_after_batch_transfer(moved, 0)


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
        return LoadedSplit(data, loader, loader.num_images)
    own = getattr(data, f"{split}_dataloader")()
    if not isinstance(own, DataLoader):
        raise UserError(
            f"{type(data).__name__}.{split}_dataloader gives no DataLoader, so this split cannot "
            "be read. Pass images of your own with --images."
        )
    # A dataset may hold whole batches, so that its length says nothing.
    return LoadedSplit(data, own, sum(len(batch.images) for batch in own))
