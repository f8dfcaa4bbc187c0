"""How a model builds its optimizer and its schedule."""

from collections.abc import Callable, Iterable
from typing import Any, TypedDict

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
