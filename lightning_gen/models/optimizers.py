"""How a model builds its optimizer and its schedule."""

from collections.abc import Callable, Iterable
from typing import Any, TypedDict

from lightning.pytorch import Trainer
from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from lightning_gen.errors import UserError

OptimizerFactory = Callable[[Iterable[Any]], Optimizer]
SchedulerFactory = Callable[[Optimizer], LRScheduler | ReduceLROnPlateau]


class TrainingParts(TypedDict, total=False):
    """What every model passes on to :class:`~lightning_gen.models.module.Module`."""

    optimizer: OptimizerFactory
    lr_scheduler: SchedulerFactory | None


class SharedFactory:
    """A factory that the copies of a model share; optimizers are built to be fused.

    What the command line hands over holds on to the parser and to the trainer, which an average of
    the weights, a deep copy of the model, must not copy, and on several devices cannot.
    """

    def __init__(self, build: Callable[[Any], Any]) -> None:
        self.build = build

    def __call__(self, argument: Any) -> Any:  # noqa: ANN401  (the factory's)
        """What the factory builds; a UserError where its arguments do not fit."""
        try:
            built = self.build(argument)
            for name in ("step_size", "T_max", "T_0"):  # they divide, but not before an epoch's end
                if getattr(built, name, 1) == 0:
                    raise ValueError(f"{name} is at least 1, got 0")
        except (TypeError, ValueError, ArithmeticError) as error:
            raise UserError(
                f"an optimizer or scheduler cannot be built: {error}. Change its arguments in "
                "model.optimizer or model.lr_scheduler, or choose another class."
            ) from error
        if isinstance(built, Adam | AdamW | SGD):
            fuse(built)
        return built

    def __deepcopy__(self, memo: dict[int, Any]) -> "SharedFactory":
        return self


def fuse(optimizer: Optimizer) -> None:
    """Let an optimizer that can update all parameters in one kernel, unless told how.

    Set here and not in the constructor, it leaves the scaling of float16 gradients to Lightning,
    which refuses to clip them otherwise.
    """
    groups = optimizer.defaults, *optimizer.param_groups
    free = (g["fused"] is None and g["foreach"] is None and not g["differentiable"] for g in groups)
    if all(free):
        for group in groups:
            group["fused"] = True


class OneCycle(LRScheduler):
    """Linear up to the optimizer's learning rate, then to 0 (Smith & Topin 2018, arXiv:1708.07120).

    It is stepped after every training step, and as long as the trainer's ``max_steps`` or
    ``max_epochs``: a run that goes on to more of them has the rate that a run of that length has
    there, and one that goes on with more or fewer steps an epoch goes on at the same epoch.

    Args:
        optimizer: its learning rate is the highest.
        warmup: share of the steps in which the rate rises.
        start: the first rate, as a share of the highest.
    """

    def __init__(self, optimizer: Optimizer, warmup: float = 0.2, start: float = 0.04) -> None:
        if not 0 <= warmup < 1:
            raise ValueError(f"warmup is a share of the steps, from 0 to below 1, got {warmup}")
        if not 0 < start <= 1:
            raise ValueError(f"start is a share of the highest rate, above 0, got {start}")
        self.warmup, self.start = warmup, start
        self.total_steps = 0
        self.steps_an_epoch: float | None = None
        self.moved = 0.0
        super().__init__(optimizer)

    def get_lr(self) -> list[float | object]:  # type: ignore[override]
        """The rate of each group for the step after ``last_epoch`` steps."""
        return [rate * self.factor(self.last_epoch + self.moved) for rate in self.base_lrs]

    def factor(self, step: int | float) -> float:
        """The rate of a step, counted from 0, as a share of the highest."""
        rise = self.warmup * self.total_steps
        if self.total_steps == 0 or step < rise:
            return self.start + (1 - self.start) * (step / rise if rise else 0.0)
        return max(0.0, (self.total_steps - step) / (self.total_steps - rise))

    def over(self, total_steps: int, steps_an_epoch: int | float | None) -> None:
        """Span so many steps, those that were done included, and set the rate of the next one.

        ``steps_an_epoch`` is None where the training is as long as its steps, not its epochs.
        """
        self.total_steps, before = total_steps, self.steps_an_epoch
        if before and steps_an_epoch and before != steps_an_epoch:
            epochs = (self.last_epoch + self.moved) / before
            self.moved = epochs * steps_an_epoch - self.last_epoch
        self.steps_an_epoch = steps_an_epoch
        for group, rate in zip(self.optimizer.param_groups, self.get_lr(), strict=True):
            group["lr"] = rate
        self._last_lr = self.get_lr()  # type: ignore[assignment]


def span(trainer: Trainer, schedulers: Iterable[object]) -> None:
    """Tell each OneCycle, at the start of a training, how many steps this has."""
    for scheduler in schedulers:
        if isinstance(scheduler, OneCycle):
            steps = trainer.estimated_stepping_batches
            if not 0 < steps < float("inf"):
                raise UserError(
                    "OneCycle spans the whole training, and this one has no end. Set "
                    "trainer.max_epochs or trainer.max_steps, or choose another model.lr_scheduler."
                )
            by_epochs = trainer.max_epochs if trainer.max_steps == -1 else None
            scheduler.over(int(steps), steps / by_epochs if by_epochs else None)
