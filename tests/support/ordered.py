"""A dataset whose labels are positions, and a model that keeps what it sees."""

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


class Seen(LightningModule):
    """Keeps the labels of each epoch, those of training and of validation."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.train_labels, self.val_labels = {}, {}

    def training_step(self, batch, batch_idx):
        self.train_labels.setdefault(self.current_epoch, []).append(batch.labels.tolist())
        return self.weight.square()

    def validation_step(self, batch, batch_idx):
        self.val_labels.setdefault(self.current_epoch, []).append(batch.labels.tolist())

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.0)
