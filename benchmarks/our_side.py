"""``lightning-gen fit WORDS`` that takes turns, an epoch each, for ``against_pythae.py``.

    python benchmarks/our_side.py FOLDER WORDS

Before the first turn it leaves in FOLDER what its rival is to train: the networks with their
weights, the images, and the settings.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from fits import Clock, fit, now
from lightning.pytorch import LightningModule, Trainer
from plain_networks import plain
from turns import Turn


class TakesTurns(Clock):
    """Waits before each epoch, and says after it what it took.

    Args:
        folder: for the rival's part.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self.turn = Turn()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write what the rival needs. Ready."""
        super().on_train_start(trainer, pl_module)
        write_networks(self.folder, pl_module)
        settings = write_data(self.folder, trainer) | {
            "epochs": trainer.max_epochs,
            "learning_rate": trainer.optimizers[0].param_groups[0]["lr"],
            "accelerator": pl_module.device.type,
            "latent_dim": getattr(pl_module, "latent_dim", 0),
            "codes": getattr(pl_module, "codebook_size", None),
            "full_epoch": self.full_epoch,
            "threads": torch.get_num_threads(),
        }
        (self.folder / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
        self.turn.over()
        self.begun = now()

    def over(self, trainer: Trainer, model: LightningModule) -> None:
        """The turn of another."""
        self.turn.over(training=self.epochs[-1].batches, whole=now() - self.begun)
        self.begun = now()


def write_networks(folder: Path, model: LightningModule) -> None:
    """The networks as they start."""
    networks = {"encoder": plain(model.encoder).cpu(), "decoder": plain(model.decoder).cpu()}
    torch.save(networks, folder / "networks.pt")


def write_data(folder: Path, trainer: Trainer) -> dict:
    """As many training images as an epoch has, and all for validation, as uint8."""
    data = trainer.datamodule
    counts = {"train": trainer.num_training_batches * data.batch_size, "val": None}
    for split, count in counts.items():
        batches = [batch.images.cpu() for batch in data.in_order(split)]
        images = torch.cat(batches)[:count]
        counts[split] = len(images)
        np.save(folder / f"{split}.npy", images.numpy())
    return {"image_shape": data.image_shape, "batch_size": data.batch_size, "images": counts}


if __name__ == "__main__":
    fit(sys.argv[2:], TakesTurns(Path(sys.argv[1])))
