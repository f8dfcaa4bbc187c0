"""Makes an evaluation repeatable."""

import torch
from lightning.pytorch import Callback, LightningModule, Trainer


class SameNoise(Callback):
    """Every evaluation of a split draws the same numbers, such as a VAE's posterior samples.

    Two epochs are then compared on the same noise, and ``test RUN`` gives the loss that the run's
    own test gave. ``RandomState`` gives training its state back.
    """

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start from one seed, which all processes share out (``lightning_gen.noise``)."""
        torch.manual_seed(0)

    on_test_start = on_predict_start = on_validation_start
