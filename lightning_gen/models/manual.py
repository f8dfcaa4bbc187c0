"""What a model that optimises by hand, with several optimizers, needs of Lightning."""

import math
from collections.abc import Callable
from typing import ClassVar, Protocol, TypeVar, runtime_checkable
from warnings import catch_warnings, filterwarnings

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from lightning_gen._compat import uncounted
from lightning_gen.contracts import Batch
from lightning_gen.errors import UserError
from lightning_gen.models.base import validation_loss
from lightning_gen.models.module import Module
from lightning_gen.models.one_cycle import OneCycle, span


@runtime_checkable
class HasLoss(Protocol):
    """A NamedTuple of scalars, ``loss`` among them."""

    @property
    def loss(self) -> Tensor:
        """What the update minimises."""


T = TypeVar("T", bound=HasLoss)


class OptimizesByHand(Module):
    """The hooks of a model with several optimizers; its ``training_step`` calls :func:`update`.

    Attributes:
        clip_norm: greatest norm of the gradient of an update; None clips nothing.
    """

    clip_norm: float | None = None
    leaves_gradients_out: ClassVar[bool] = True

    def configure_callbacks(self) -> list[Callback]:
        """None; the first hook that knows the trainer refuses what it cannot do."""
        refuse_automatic_options(self.trainer)
        return []

    def on_train_start(self) -> None:
        """Tell a schedule that spans the training how long that is."""
        span(self)

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """See that a run which goes on has the learning rate of its epoch."""
        catch_up_schedulers(self)

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Clip the gradient, which is unscaled by now."""
        if self.clip_norm is not None:
            self.clip_gradients(optimizer, self.clip_norm, "norm")

    def on_train_epoch_end(self) -> None:
        """Step the schedulers."""
        step_schedulers(self)


def update(
    module: LightningModule, optimizer: LightningOptimizer, terms: Callable[[], T], *, counted: bool
) -> T:
    """One step of one of the module's optimizers.

    While it runs, no parameter of another optimizer takes a gradient: the forward pass belongs
    into ``terms``, which is called within.

    Args:
        module: the model, in its ``training_step``.
        optimizer: one of ``module.optimizers()``.
        terms: computes the loss, and whatever else is to be logged.
        counted: whether the step counts in ``trainer.global_step``. Let the last update of a batch
            count and no other: then ``max_steps``, ``every_n_train_steps`` and the loggers count
            batches, as for every other model.

    Returns:
        What ``terms`` gave.
    """
    with module.toggled_optimizer(optimizer):
        result = terms()
        optimizer.zero_grad()
        module.manual_backward(result.loss)
        if counted:
            optimizer.step()
            step_one_cycles(module)
        else:
            with uncounted(optimizer):
                optimizer.step()
    return result


def step_one_cycles(module: LightningModule) -> None:
    """Step the module's OneCycle schedulers, after an update that counts."""
    for scheduler in _schedulers(module):
        if isinstance(scheduler, OneCycle):
            _step(scheduler)


def step_schedulers(module: LightningModule) -> None:
    """Step the module's learning-rate schedulers once; an epoch that is cut short does not count.

    OneCycle is stepped by :func:`update`. ReduceLROnPlateau watches ``val/loss``, and rests in an
    epoch without it.

    Args:
        module: the model, in its ``on_train_epoch_end``.
    """
    if not module.trainer.is_last_batch:
        return
    loss = validation_loss(module.trainer)
    for scheduler in _schedulers(module):
        if isinstance(scheduler, ReduceLROnPlateau):
            if loss is not None:
                scheduler.step(loss)
        elif not isinstance(scheduler, OneCycle):
            _step(scheduler)


def catch_up_schedulers(module: LightningModule) -> None:
    """Step the schedulers for an epoch whose end a checkpoint was written before.

    A run that goes on from the last batch of an epoch comes neither to that epoch's end again nor
    to the start of the next one.

    Args:
        module: the model, in its ``on_train_batch_start``.
    """
    for scheduler in _schedulers(module):
        if not isinstance(scheduler, ReduceLROnPlateau | OneCycle):
            while getattr(scheduler, "last_epoch", math.inf) < module.trainer.current_epoch:
                _step(scheduler)


def refuse_automatic_options(trainer: Trainer) -> None:
    """Raise a UserError for options of the trainer that only automatic optimisation has.

    Lightning raises one of its own, a little after ``configure_callbacks``.
    """
    if trainer.state.fn != TrainerFn.FITTING:
        return
    if trainer.accumulate_grad_batches != 1:
        raise UserError(
            "a model with several optimizers takes trainer.accumulate_grad_batches 1, got "
            f"{trainer.accumulate_grad_batches}. Leave it out, and raise data.batch_size instead."
        )
    if trainer.gradient_clip_val:
        raise UserError(
            "a model with several optimizers clips by model.clip_norm, got "
            f"trainer.gradient_clip_val {trainer.gradient_clip_val}. Set model.clip_norm instead."
        )


def _schedulers(module: LightningModule) -> list[LRScheduler | ReduceLROnPlateau]:
    found = module.lr_schedulers()
    if found is None:
        return []
    return found if isinstance(found, list) else [found]


def _step(scheduler: LRScheduler) -> None:
    with catch_warnings():
        # Where a run goes on, the first step of the optimizer was in an earlier process; and a
        # critic that is updated several times comes before its generator.
        filterwarnings("ignore", "Detected call of `lr_scheduler.step")
        scheduler.step()


def check_clip_norm(clip_norm: float | None) -> None:
    """Raise a UserError unless ``clip_norm`` is a finite number above 0 or None."""
    if clip_norm is not None and not 0 < clip_norm < math.inf:
        raise UserError(
            f"clip_norm is the greatest norm of a gradient, above 0, got {clip_norm}. "
            "Set model.clip_norm to 1.0, or to null for no clipping."
        )
