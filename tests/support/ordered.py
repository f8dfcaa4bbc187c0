"""A dataset whose labels are positions, and a model that keeps what it sees."""

from dataclasses import dataclass

import torch
from lightning.pytorch import LightningModule

from lightning_gen.data.base import ImageDataModule
from lightning_gen.data.sources import TensorSource

QUIET = {
    "accelerator": "cpu",
    "logger": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
    "num_sanity_val_steps": 0,
}


class Numbered(ImageDataModule):
    """Images whose label is their position."""

    image_shape = (1, 2, 2)

    def __init__(self, count=100, batch_size=8, val_fraction=0.2):
        super().__init__(batch_size, val_fraction)
        self.count = count

    def load_train(self):
        images = torch.zeros(self.count, 1, 2, 2, dtype=torch.uint8)
        return TensorSource.of(images, torch.arange(self.count))

    load_test = load_train


@dataclass(frozen=True)
class Decoding:
    """A source that is no TensorSource, so that workers may fetch from it."""

    inner: TensorSource
    device = torch.device("cpu")

    def __len__(self):
        return len(self.inner)

    def __getitem__(self, indices):
        return self.inner[indices]


class Seen(LightningModule):
    """Keeps the batches of each stage, and the labels of each epoch."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.train_labels, self.val_labels = {}, {}
        self.batches = {"train": [], "val": [], "test": []}

    def training_step(self, batch, batch_idx):
        self.batches["train"].append(batch)
        self.train_labels.setdefault(self.current_epoch, []).append(batch.labels.tolist())
        return self.weight.square()

    def validation_step(self, batch, batch_idx):
        self.batches["val"].append(batch)
        self.val_labels.setdefault(self.current_epoch, []).append(batch.labels.tolist())

    def test_step(self, batch, batch_idx):
        self.batches["test"].append(batch)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.0)
