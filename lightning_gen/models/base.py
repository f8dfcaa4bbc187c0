"""What every model of one loss shares: one step for all stages, its logging, the optimizer."""

from abc import ABC, abstractmethod
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor
from torch.optim import Adam
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from lightning_gen.contracts import Batch, Codes, Images, Terms, condition_on
from lightning_gen.errors import UserError
from lightning_gen.models.module import Module
from lightning_gen.models.one_cycle import OneCycle, span
from lightning_gen.models.optimizers import OptimizerFactory, SchedulerFactory, SharedFactory


class LossModel(Module, ABC):
    """A model that minimises one loss with one optimizer.

    Args:
        optimizer: builds the optimizer from the parameters.
        lr_scheduler: builds a scheduler from the optimizer, stepped once an epoch
            (:class:`OneCycle` once a step); ReduceLROnPlateau watches ``val/loss``.
    """

    def __init__(
        self, optimizer: OptimizerFactory = Adam, lr_scheduler: SchedulerFactory | None = None
    ) -> None:
        super().__init__()
        self._optimizer = SharedFactory(optimizer)
        self._lr_scheduler = lr_scheduler and SharedFactory(lr_scheduler)

    @abstractmethod
    def encode(self, images: Images) -> Codes:
        """The code [N, D] of each image."""

    @abstractmethod
    def terms(self, batch: Batch, inputs: Images, training_step: int | None = None) -> Terms:
        """The loss and its parts.

        Args:
            batch: the clean images, and what else is known of them.
            inputs: what the model sees: ``batch.images``, changed in training by ``_augmented``.
            training_step: number of training steps done; None in evaluation.
        """

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The loss; its parts are logged every ``trainer.log_every_n_steps`` steps."""
        terms = self._step(batch, batch_idx, self.global_step)
        every: int = self.trainer.log_every_n_steps  # type: ignore[attr-defined]
        if every and (self.global_step + 1) % every == 0:
            self._log_terms("train", terms, len(batch.images))
        return terms.loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Log the loss and its parts as means over the split."""
        self._log_terms("val", self._step(batch, batch_idx), len(batch.images))

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Log the loss and its parts as means over the split."""
        self._log_terms("test", self._step(batch, batch_idx), len(batch.images))

    def predict_step(self, batch: Batch, batch_idx: int) -> Codes:
        """The codes of the batch."""
        codes: Codes = condition_on(self, batch).encode(batch.images)
        return codes

    def configure_optimizers(self) -> Any:  # noqa: ANN401  (Lightning's union of eight forms)
        """The optimizer and, where given, the scheduler."""
        optimizer = self._optimizer(self.parameters())
        if self._lr_scheduler is None:
            return optimizer
        scheduler = self._lr_scheduler(optimizer)
        interval = "step" if isinstance(scheduler, OneCycle) else "epoch"
        stepped = {"scheduler": scheduler, "interval": interval, "monitor": "val/loss"}
        return {"optimizer": optimizer, "lr_scheduler": stepped}

    def on_train_start(self) -> None:
        """Tell a schedule that spans the training how long that is."""
        span(self)

    def lr_scheduler_step(
        self,
        scheduler: LRScheduler | ReduceLROnPlateau,
        metric: Any | None,  # noqa: ANN401  (Lightning's)
    ) -> None:
        """Step a scheduler; ReduceLROnPlateau is stepped by ``on_train_epoch_end``."""
        if not isinstance(scheduler, ReduceLROnPlateau):
            super().lr_scheduler_step(scheduler, metric)

    def on_train_epoch_end(self) -> None:
        """Step ReduceLROnPlateau before the checkpoint of the epoch, and not after it."""
        scheduler, loss = self.lr_schedulers(), validation_loss(self.trainer)
        if isinstance(scheduler, ReduceLROnPlateau) and loss is not None:
            scheduler.step(loss)

    def _step(self, batch: Batch, batch_idx: int, training_step: int | None = None) -> Terms:
        inputs = self._inputs(batch, batch_idx, training=training_step is not None)
        return self.terms(batch, inputs, training_step)

    def _inputs(self, batch: Batch, batch_idx: int, *, training: bool) -> Images:
        if batch_idx == 0:  # once an epoch: on an accelerator the look costs a wait
            check_range(batch.images)
        return self._augmented(batch.images) if training else batch.images

    def _augmented(self, images: Images) -> Images:
        """What the model sees of training images."""
        return images

    def _log_terms(self, stage: str, terms: Terms, batch_size: int) -> None:
        self._log(stage, terms._asdict(), batch_size)

    def _log(self, stage: str, values: dict[str, Tensor], batch_size: int) -> None:
        named = {f"{stage}/{name}": value for name, value in values.items()}
        log_means(self, named, batch_size, evaluating=stage != "train")


def log_means(
    module: LightningModule, values: dict[str, Tensor], batch_size: int, *, evaluating: bool
) -> None:
    """Log scalars of a batch; in an evaluation their means over the images of all processes."""
    # Lightning divides by the rounded mean over processes of their numbers of images: that of W
    # times as many needs no rounding. In training, what is logged for the progress bar is fetched
    # from the device at every step.
    weight = batch_size * (module.trainer.world_size if evaluating else 1)
    detached = {name: value.detach() for name, value in values.items()}
    module.log_dict(detached, batch_size=weight, sync_dist=evaluating, prog_bar=evaluating)


def validation_loss(trainer: Trainer) -> Any:  # noqa: ANN401  (a schedule takes a tensor as a number)
    """``val/loss`` of this epoch; None in an epoch without a validation, or where none is logged.

    Lightning also gives that of an earlier epoch, which a run that goes on does not have.
    """
    every: int | None = trainer.check_val_every_n_epoch
    validated = trainer.enable_validation and (
        every is None or (trainer.current_epoch + 1) % every == 0
    )
    return trainer.callback_metrics.get("val/loss") if validated else None


def check_range(images: Images) -> None:
    """Raise a UserError unless all pixels lie in [0, 1]."""
    low, high = torch.stack([images.min(), images.max()]).tolist()
    if not (low >= 0 and high <= 1):
        raise UserError(
            f"models take images in [0, 1], got values from {low:.3g} to {high:.3g}. "
            "Drop the Normalize transform, or scale the images to [0, 1] in the datamodule."
        )
