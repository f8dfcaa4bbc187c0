"""A dataset whose labels are positions, and a model that keeps what it sees."""

from dataclasses import dataclass

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from lightning_gen.contracts import DataInfo
from lightning_gen.data import MiniFashionMNIST
from lightning_gen.data.base import ImageDataModule
from lightning_gen.data.loader import TensorSource
from support.models import QUIET

QUIET = {name: value for name, value in QUIET.items() if name != "enable_checkpointing"}
QUIET["num_sanity_val_steps"] = 0


class Numbered(ImageDataModule):
    """Random images whose label is their position; those to test on start at 1000.

    ``loaded`` are the splits that have been loaded.
    """

    info = DataInfo((2, 8, 9))

    def __init__(self, count=100, batch_size=8, val_fraction=0.2, binarize=None, **shared):
        super().__init__(batch_size, val_fraction, binarize, **shared)
        self.count = count
        self.loaded = []

    def load(self, split):
        self.loaded.append(split)
        return self.source(30, 1000) if split == "test" else self.source(self.count, 0)

    def source(self, count, first_label):
        generator = torch.Generator().manual_seed(7)
        shape = (count, *self.image_shape)
        images = torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)
        return TensorSource.of(images, first_label + torch.arange(count))


class Tiny(MiniFashionMNIST):
    """100 of the images, 20 of them for validation, in batches of 10."""

    def __init__(self, binarize=None, val_fraction=0.2, train_classes=None, **shared):
        super().__init__(10, val_fraction, binarize, train_classes, **shared)

    def load(self, split):
        source = super().load(split)
        return source.subset(torch.arange(0, len(source), len(source) // 100))


class KilledError(Exception):
    pass


class StopAt(Callback):
    """Ends the process, as far as the run can tell, after a step's callbacks."""

    def __init__(self, step):
        self.step = step

    def on_train_batch_end(self, trainer, *_):
        if trainer.global_step == self.step:
            raise KilledError


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


def fit(data, ckpt_path=None, **arguments):
    """What a model has seen in three epochs."""
    seen = Seen()
    settings = {"enable_checkpointing": False, "max_epochs": 3, **QUIET, **arguments}
    Trainer(**settings).fit(seen, data, ckpt_path=ckpt_path)
    return seen


class OfOwnSeed(Callback):
    """Gives each process another seed, as a plain script has, and keeps what it has seen."""

    def __init__(self, folder):
        self.folder = folder

    def setup(self, trainer, pl_module, stage):
        torch.manual_seed(trainer.global_rank)

    def on_train_end(self, trainer, pl_module):
        torch.save(pl_module.train_labels, self.folder / f"{trainer.global_rank}.pt")


def fit_on_two_processes(folder):
    """Keep the training labels of each of two processes: forks of this one, to be begun anew."""
    fit(Numbered(), max_epochs=2, devices=2, strategy="ddp_fork", callbacks=[OfOwnSeed(folder)])


def labels_of(loader):
    """The labels of all batches, in order."""
    return torch.cat([batch.labels for batch in loader]).tolist()
