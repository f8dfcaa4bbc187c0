"""Stops a run whose loss is no longer a number."""

import math
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor

from lightning_gen.errors import UserError


class FiniteLoss(Callback):
    """Raises a UserError when a training loss is NaN or infinite.

    The losses stay on the device, so that no step waits for it. They are looked at every
    ``trainer.log_every_n_steps`` losses (every 50, where nothing is logged), before validation, at
    the end of an epoch, and before a checkpoint is written, so that no checkpoint of a broken run
    replaces a good one. Lightning asks no callback before it writes one of weights only, which can
    therefore be that many losses late.
    """

    def __init__(self) -> None:
        self._losses: list[tuple[int, Tensor]] = []

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget the losses of an earlier fit."""
        self._losses = []

    def on_before_backward(
        self, trainer: Trainer, pl_module: LightningModule, loss: Tensor
    ) -> None:
        """Keep the loss; a model that optimises by hand has several in a step."""
        self._losses.append((trainer.global_step, loss.detach().sum()))

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:  # noqa: ANN401  (Lightning's)
        """Look now and then."""
        if len(self._losses) >= (trainer.log_every_n_steps or 50):  # type: ignore[attr-defined]
            self._check(trainer)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Look before the time of a validation is spent, and at the end of the epoch."""
        self._check(trainer)

    on_train_epoch_end = on_validation_start

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Look before the checkpoint is written."""
        self._check(trainer)

    def _check(self, trainer: Trainer) -> None:
        if not self._losses:
            return
        values = torch.stack([loss for _, loss in self._losses]).tolist()
        for (step, _), value in zip(self._losses, values, strict=True):
            if not math.isfinite(value):
                clipping = (
                    "trainer.gradient_clip_val"
                    if trainer.lightning_module.automatic_optimization
                    else "model.clip_norm"
                )
                raise UserError(
                    f"the loss became {value} at step {step} (counted from 0, as in metrics.csv). "
                    f"The last good checkpoint: {last_checkpoint(trainer)}. Lower the learning "
                    f"rate, set {clipping}, or use trainer.precision 32-true."
                )
        self._losses = []


def last_checkpoint(trainer: Trainer) -> str:
    """Path of the newest checkpoint that exists, or words that there is none."""
    callbacks = [c for c in trainer.checkpoint_callbacks if isinstance(c, ModelCheckpoint)]
    paths = [path for c in callbacks for path in (c.last_model_path, c.best_model_path)]
    existing = [path for path in paths if path and Path(path).exists()]
    return max(existing, key=lambda path: Path(path).stat().st_mtime, default="none was saved yet")
