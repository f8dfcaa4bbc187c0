"""Training steps that are replayed as CUDA graphs."""

import warnings
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.strategies import SingleDeviceStrategy

from lightning_gen.cli.cuda_graph import CudaGraph
from lightning_gen.cli.empty_hooks import HOOKS_WITHIN
from lightning_gen.cli.plain_step import Output, Step
from lightning_gen.cli.recorded_step import RecordedStep
from lightning_gen.contracts import Batch, StepsAlike

WARMUP = 3
"""Steps of a kind that are taken one operation after the other before one is recorded."""


@contextmanager
def graphed_steps(trainer: Trainer, model: LightningModule) -> Iterator[None]:
    """Within, steps of training are recorded as CUDA graphs, one for each kind, and replayed.

    A step is everything from the forward pass to the end of the optimizer's update, with what
    Lightning does in between. What Python does in it is not repeated: the model says which steps
    are alike (``step_kind``), and the first step of an epoch, those that are logged and those of a
    smaller batch are taken without a graph. The numbers are the same, random ones too. Where graphs
    are not possible a warning says why, and all steps are taken without.
    """
    epochs = trainer.fit_loop.epoch_loop
    by_hand, by_lightning = epochs.manual_optimization, epochs.automatic_optimization
    loop: Any = by_lightning if model.automatic_optimization else by_hand
    reason = what_is_in_the_way(trainer, model)
    if reason is None:
        loop.run = GraphedSteps(Step(trainer, model, loop))
    else:
        go_on_without(reason)
    try:
        yield
    finally:
        steps = vars(loop).pop("run", None)
        if steps is not None:
            steps.forget()


def go_on_without(reason: str) -> None:
    """Warn that there are no graphs."""
    warnings.warn(f"no CUDA graphs: {reason}; training goes on without.", stacklevel=2)


def what_is_in_the_way(trainer: Trainer, model: LightningModule) -> str | None:
    """What keeps the steps of a training from being recorded, as far as it is known before."""
    device = trainer.strategy.root_device
    if not has_graphs(device):
        return f"they are a CUDA GPU's, and the model is on the {device.type}"
    if not isinstance(trainer.strategy, SingleDeviceStrategy):
        return "several processes train together"
    if trainer.precision == "16-mixed":
        return "with trainer.precision 16-mixed each step waits for the GPU, with bf16-mixed not"
    if trainer.accumulate_grad_batches != 1:
        return "trainer.accumulate_grad_batches is not 1"
    if trainer.log_every_n_steps == 1:  # type: ignore[attr-defined]
        return "trainer.log_every_n_steps is 1, and a step that is logged is taken without"
    if not isinstance(model, StepsAlike):
        return f"{type(model).__name__} has no step_kind, which tells which steps are alike"
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
    for callback in callbacks:
        kind = type(callback)
        own = (hook for hook in HOOKS_WITHIN if getattr(kind, hook) is not getattr(Callback, hook))
        heard = next(own, None)
        if heard and not getattr(callback, "hears_replays", False):
            return f"{kind.__name__} looks into each step, by {heard}"
    return None


def has_graphs(device: torch.device) -> bool:
    """Whether a device can record its operations."""
    return device.type == "cuda"


class GraphedSteps:
    """Takes the place of the ``run`` of Lightning's loop for one step.

    Args:
        step: as it is taken without graphs.
    """

    def __init__(self, step: Step) -> None:
        self.step = step
        self.by_kind: dict[Hashable, KindOfStep] = {}
        self.latest: KindOfStep | None = None
        self.shapes: list[torch.Size] | None = None
        self.given_up = False

    def __call__(self, *arguments: Any) -> Output:  # noqa: ANN401  (those of the loop's run)
        """Take a step; the batch and its number are in the last argument."""
        key = None if self.given_up else self.key(*arguments[-1].values())
        kind = None if key is None else self.kind(key)
        if kind is None:
            self.latest = None
            return self.step.take(*arguments)
        new, self.latest = kind is not self.latest, kind
        return kind.take(arguments, new=new)

    def key(self, batch: object, batch_idx: int = 0) -> Hashable | None:
        """The kind of the step; None for one that is taken without a graph."""
        trainer = self.step.trainer
        every: int = trainer.log_every_n_steps  # type: ignore[attr-defined]
        logged = every and (trainer.global_step + 1) % every == 0
        if not isinstance(batch, Batch):
            return None
        shapes = [part.shape for part in batch]
        self.shapes = self.shapes or shapes
        if batch_idx == 0 or logged or shapes != self.shapes:
            return None
        kind: Hashable | None = self.step.model.step_kind()  # type: ignore[operator]
        return kind

    def kind(self, key: Hashable) -> "KindOfStep | None":
        """The steps that share it; None where there are to be no more graphs."""
        kind = self.by_kind.get(key)
        recorded = kind and kind.recorded
        if recorded and recorded.options_changed():
            self.give_up("the optimizer's options change while it trains, and not its rate alone")
            return None
        if kind is None or (recorded and recorded.has_lost_its_place()):
            kind = self.by_kind[key] = KindOfStep(self.step, self.give_up)
        return kind

    def forget(self) -> None:
        """Free the graphs now, with their memory, and not when garbage is collected."""
        self.by_kind.clear()
        self.latest = None

    def give_up(self, reason: str) -> None:
        """Take all further steps without graphs."""
        self.given_up = True
        self.forget()
        go_on_without(reason)


class KindOfStep:
    """Steps that do the same, whatever the batch.

    Args:
        step: as it is taken without graphs.
        give_up: called with the reason where such steps cannot be recorded.
    """

    def __init__(self, step: Step, give_up: Callable[[str], None]) -> None:
        self.step = step
        self.give_up = give_up
        self.graph = CudaGraph(step.trainer.strategy.root_device)
        self.taken = 0
        self.recorded: RecordedStep | None = None

    def take(self, arguments: tuple[Any, ...], *, new: bool) -> Output:
        """Take a step.

        Args:
            arguments: of the loop's ``run``.
            new: whether the latest step was not of this kind.
        """
        if self.recorded is not None:
            return self.recorded.replay(arguments[-1]["batch"], new=new)
        self.taken += 1
        plainly = partial(self.step.take, *arguments)
        if self.taken < WARMUP:
            return self.graph.warm_up(plainly)
        if self.taken == WARMUP:
            with self.step.watched() as seen:
                output, waits = self.graph.watch(plainly)
            reason = waits or next(iter(seen), None)
            if reason is not None:
                self.give_up(reason)
            return output
        self.recorded = RecordedStep(self.graph, self.step, arguments)
        return self.recorded.first()
