"""What every model is: one step for all stages, its logging, the optimizer and the schedule."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import torch
from lightning.pytorch import LightningModule
from torch import Tensor
from torch.optim import Adam
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from lightning_gen._compat import find_unused_parameters, forget_logged
from lightning_gen.contracts import Batch, Codes, Images, Terms, as_batch, condition_on
from lightning_gen.errors import UserError, check_number
from lightning_gen.hyperparameters import KeepsArguments
from lightning_gen.models.optimizers import (
    OneCycle,
    OptimizerFactory,
    SchedulerFactory,
    SharedFactory,
    span,
)
from lightning_gen.priors import VectorPrior
from lightning_gen.quantities import LOSS, Quantity


class Module(KeepsArguments, LightningModule, ABC):
    """A model that minimises one loss with one optimizer.

    Attributes:
        leaves_gradients_out: a backward pass gives no gradient to some parameters, for which DDP
            must not wait.
        logs: what the numbers are that this class logs, beside those of its parents.
        monitor: the metric that picks the best checkpoint; None keeps the latest.

    Args:
        optimizer: builds the optimizer from the parameters.
        lr_scheduler: builds a scheduler from the optimizer, stepped once an epoch
            (:class:`OneCycle` once a step); ReduceLROnPlateau watches ``val/loss``.
    """

    leaves_gradients_out: ClassVar[bool] = False
    logs: ClassVar[dict[str, Quantity]] = {"loss": LOSS}
    monitor: ClassVar[str | None] = "val/loss"

    def __init__(
        self, optimizer: OptimizerFactory = Adam, lr_scheduler: SchedulerFactory | None = None
    ) -> None:
        super().__init__()
        self._optimizer = SharedFactory(optimizer)
        self._lr_scheduler = lr_scheduler and SharedFactory(lr_scheduler)

    @abstractmethod
    def terms(self, batch: Batch, inputs: Images, training_step: int | None = None) -> Terms:
        """The loss and its parts.

        ``inputs`` are what the model sees: ``batch.images``, changed in training by ``_augmented``.
        ``training_step`` is the number of training steps done, None in evaluation.
        """

    def setup(self, stage: str) -> None:
        """See to it that a plain DataLoader's (images, labels) become a Batch; prepare DDP."""
        if self.leaves_gradients_out:
            find_unused_parameters(self.trainer)
        # A model's own hook beside a datamodule is a warning of Lightning's.
        self.__dict__.pop("on_after_batch_transfer", None)
        owner = getattr(self.trainer, "datamodule", None) or self
        hook = owner.on_after_batch_transfer
        if not isinstance(hook, partial):
            owner.on_after_batch_transfer = partial(  # type: ignore[method-assign]
                _then_as_batch, hook
            )

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The loss; its parts are logged every ``trainer.log_every_n_steps`` steps."""
        step = self.global_step
        terms = self.terms(batch, self._inputs(batch, batch_idx, training=True), step)
        self._log_training(step, terms, len(batch.images))
        return terms["loss"]

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Log the terms as means over the split."""
        self._evaluate("val", batch, batch_idx)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Log the terms as means over the split."""
        self._evaluate("test", batch, batch_idx)

    def predict_step(self, batch: Batch, batch_idx: int) -> Codes:
        """The codes of the batch."""
        return condition_on(self, batch).encode(batch.images)  # type: ignore[no-any-return]

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
        span(self.trainer, self._schedulers())

    def lr_scheduler_step(self, scheduler: Any, metric: Any) -> None:  # noqa: ANN401  (Lightning's)
        """Step a scheduler; ReduceLROnPlateau is stepped by ``on_train_epoch_end``."""
        if not isinstance(scheduler, ReduceLROnPlateau):
            super().lr_scheduler_step(scheduler, metric)

    def on_train_epoch_end(self) -> None:
        """Step ReduceLROnPlateau, after a validation, before the checkpoint of the epoch.

        Without one Lightning gives the loss of an earlier epoch, which a resumed run does not have.
        """
        trainer, every = self.trainer, self.trainer.check_val_every_n_epoch
        validated = every is None or (trainer.current_epoch + 1) % every == 0
        loss: Any = trainer.callback_metrics.get("val/loss")
        if trainer.enable_validation and validated and loss is not None:
            for scheduler in self._schedulers():
                if isinstance(scheduler, ReduceLROnPlateau):
                    scheduler.step(loss)

    def _schedulers(self) -> list[LRScheduler | ReduceLROnPlateau]:
        found = self.lr_schedulers() or []
        return found if isinstance(found, list) else [found]

    def _inputs(self, batch: Batch, batch_idx: int, *, training: bool) -> Images:
        if batch_idx == 0:  # once an epoch: on an accelerator the look costs a wait
            check_range(batch.images)
        return self._augmented(batch.images) if training else batch.images

    def _augmented(self, images: Images) -> Images:
        """What the model sees of training images."""
        return images

    def _evaluate(self, stage: str, batch: Batch, batch_idx: int) -> None:
        terms = self.terms(batch, self._inputs(batch, batch_idx, training=False))
        self._log_terms(stage, terms, len(batch.images))

    def _log_training(self, step: int, terms: Terms, batch_size: int) -> None:
        every: int = self.trainer.log_every_n_steps  # type: ignore[attr-defined]
        if every and (step + 1) % every == 0:
            forget_logged(self.trainer, "train/")
            self._log_terms("train", terms, batch_size)

    def _log_terms(self, stage: str, terms: Terms, batch_size: int) -> None:
        """Log the terms of a batch; in an evaluation means over the images of all processes."""
        # Lightning divides by the rounded mean over processes of their numbers of images: that of
        # W times as many needs no rounding. In training, what is logged for the progress bar is
        # fetched from the device at every step.
        evaluating = stage != "train"
        weight = batch_size * (self.trainer.world_size if evaluating else 1)
        values = {f"{stage}/{name}": value.detach() for name, value in self.logged(terms).items()}
        self.log_dict(values, batch_size=weight, sync_dist=evaluating, prog_bar=evaluating)

    @property
    def quantities(self) -> dict[str, Quantity]:
        """What the numbers are that the model logs, and the weight of each term in the loss."""
        declared = [vars(kind).get("logs", {}) for kind in reversed(type(self).__mro__)]
        return {name: each for part in declared for name, each in part.items()}

    def logged(self, terms: Terms) -> Terms:
        """What is logged of the terms of a batch, by name."""
        return terms


class SamplesPrior(LightningModule):
    """Draws images from a prior of vectors, for a model that decodes codes of this length."""

    latent_dim: int
    prior: VectorPrior

    @abstractmethod
    def decode(self, codes: Codes) -> Images:
        """Images [N, C, H, W] of codes [N, D]."""

    def sample_codes(self, n: int, *, temperature: float = 1.0) -> Codes:
        """``n`` draws [N, D] of the prior; a temperature below 1 keeps nearer to its modes."""
        check_temperature(temperature)
        return self.prior.sample(n, temperature).to(self.dtype)

    def sample(self, n: int, *, temperature: float = 1.0) -> Images:
        """``n`` images decoded from draws of the prior."""
        return self.decode(self.sample_codes(n, temperature=temperature))


def check_temperature(temperature: float) -> None:
    """Raise a UserError unless it is a number above 0."""
    check_number("temperature", temperature, 0, "Set it to 1, or a little below.", above=True)


def _then_as_batch(hook: Callable[[object, int], object], batch: object, index: int) -> Batch:
    return as_batch(hook(batch, index))


def check_range(images: Images) -> None:
    """Raise a UserError unless all pixels lie in [0, 1]."""
    low, high = torch.stack([images.min(), images.max()]).tolist()
    if not (low >= 0 and high <= 1):
        raise UserError(
            f"models take images in [0, 1], got values from {low:.3g} to {high:.3g}. "
            "Drop the Normalize transform, or scale the images to [0, 1] in the datamodule."
        )
