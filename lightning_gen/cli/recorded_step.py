"""A training step that is recorded, and what Python adds to each replay of it."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from lightning_gen.cli.cuda_graph import CudaGraph
from lightning_gen.contracts import Batch
from lightning_gen.errors import UserError
from lightning_gen.models.manual import step_one_cycles
from lightning_gen.models.one_cycle import OneCycle

HOOKS_WITHIN = (
    "on_before_zero_grad",
    "on_before_backward",
    "on_after_backward",
    "on_before_optimizer_step",
)
"""The hooks of a callback that are called within a step."""

Output = dict[str, Any]
"""What a step hands to ``on_train_batch_end``."""


class Step:
    """A training step as Lightning takes it.

    Args:
        trainer: it trains.
        model: it is trained.
        loop: Lightning's, for one optimizer or for a model that optimises by hand.
    """

    def __init__(self, trainer: Trainer, model: LightningModule, loop: Any) -> None:  # noqa: ANN401
        self.trainer = trainer
        self.model = model
        self.take: Callable[..., Output] = loop.run
        parts: list[Any]
        if model.automatic_optimization:
            progress = loop.optim_progress.optimizer
            parts = [progress.step, progress.zero_grad]
        else:
            parts = [loop.optim_step_progress]
        self.trackers = [tracker for part in parts for tracker in (part.total, part.current)]

    def counts(self) -> list[dict[str, int]]:
        """How often Lightning did what it counts in a step."""
        return [dict(vars(tracker)) for tracker in self.trackers]

    def groups(self) -> list[dict[str, Any]]:
        """The groups of parameters of all optimizers."""
        return [group for optimizer in self.trainer.optimizers for group in optimizer.param_groups]

    @contextmanager
    def watched(self) -> Iterator[list[str]]:
        """Within, notice what a step does that a replay of it would not."""
        seen = []
        for optimizer in self.trainer.optimizers:
            if not all(reads_its_rate(group) for group in optimizer.param_groups):
                name = type(optimizer).__name__
                seen.append(f"{name} is neither fused nor capturable, which are options of it")

        def noting(what: str, call: Callable[..., Any]) -> Callable[..., Any]:
            def note_and_call(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401
                seen.append(f"training_step {what} at each step")
                return call(*arguments, **options)

            return note_and_call

        schedulers = [s for s in self.schedulers() if not isinstance(s, OneCycle)]
        noted = [(s, "step", noting("steps a scheduler", s.step)) for s in schedulers]
        log = self.model, "log", noting("logs", self.model.log)
        buffers = dict(self.model.named_buffers())
        with stand_ins(log, *noted):
            yield seen
        for name, buffer in self.model.named_buffers():
            if buffers.get(name) is not buffer:
                seen.append(f"training_step puts another tensor in the place of {name}")

    def quiet(self) -> AbstractContextManager[None]:
        """Within, no callback hears what happens in a step, and no scheduler moves."""
        callbacks: list[Callback] = self.trainer.callbacks  # type: ignore[attr-defined]
        hooks = [(callback, hook) for callback in callbacks for hook in HOOKS_WITHIN]
        unheard = [(c, hook, None) for c, hook in hooks if hook not in vars(c)]
        at_rest = [(s, "step", do_nothing) for s in self.schedulers()]
        return stand_ins(*unheard, *at_rest)

    def schedulers(self) -> list[Any]:
        """Those of all optimizers."""
        return [config.scheduler for config in self.trainer.lr_scheduler_configs]


@contextmanager
def stand_ins(*places: tuple[object, str, Any]) -> Iterator[None]:
    """Within, each of some objects has another attribute in the place of its class's."""
    for of, name, value in places:
        vars(of)[name] = value
    try:
        yield
    finally:
        for of, name, _ in places:
            del vars(of)[name]


def do_nothing(*_: object) -> None:
    """Do nothing."""


def reads_its_rate(group: dict[str, Any]) -> bool:
    """Whether an optimizer takes the learning rate of a group from the device."""
    return bool(
        group.get("fused") or (group.get("capturable") and group.get("foreach") is not False)
    )


class Rate:
    """The learning rate of a group of parameters, where a graph reads it.

    The group keeps a number, so that schedulers and checkpoints see what they always do.

    Args:
        group: of an optimizer.
    """

    def __init__(self, group: dict[str, Any]) -> None:
        self.group = group
        self.now = group["lr"]
        self.read = self.now
        if not isinstance(self.now, Tensor):
            self.read = torch.tensor(float(self.now), device=group["params"][0].device)
        names = group.keys() - {"params", "lr"}
        self.options = [(name, group[name]) for name in names if plain(group[name])]

    @contextmanager
    def held(self) -> Iterator[None]:
        """Within, the optimizer reads the rate where a graph does."""
        changed = {"lr": self.read} | ({"capturable": True} if "capturable" in self.group else {})
        before = {name: self.group[name] for name in changed}
        self.group.update(changed)
        try:
            yield
        finally:
            self.group.update(before)

    def follow(self) -> None:
        """Let the graph read the present rate."""
        rate = self.group["lr"]
        if rate is not self.read and rate != self.now:
            self.read.fill_(rate)
            self.now = rate

    def options_changed(self) -> bool:
        """Whether another option of the group, which a recording has in it, has a new value."""
        return any(self.group[name] != value for name, value in self.options)


def plain(value: object) -> bool:
    """Whether a value is made of Python's numbers and words, and not of tensors."""
    parts = value if isinstance(value, tuple | list) else [value]
    return not any(isinstance(part, Tensor) for part in parts)


class RecordedStep:
    """A step in a graph.

    Args:
        graph: records it.
        step: as it is taken without a graph.
        arguments: those of the loop's ``run``, of a step that is to be taken.

    Raises:
        UserError: it cannot be recorded, although nothing was in the way before.
    """

    def __init__(self, graph: CudaGraph, step: Step, arguments: tuple[Any, ...]) -> None:
        *others, inputs = arguments
        self.graph = graph
        self.step = step
        self.batch = Batch(*(part.clone() for part in inputs["batch"]))
        self.rates = [Rate(group) for group in step.groups()]
        parameters = list(step.model.parameters())
        self.tensors = [*parameters, *step.model.buffers()]
        self.places = self._places()
        gradients = [parameter.grad for parameter in parameters]
        counts = step.counts()
        with ExitStack() as stack:
            stack.enter_context(step.quiet())
            for rate in self.rates:
                stack.enter_context(rate.held())
            on_ours = partial(step.take, *others, {**inputs, "batch": self.batch})
            self.output = recorded(graph, on_ours)
        self.counted = [
            {name: count - old[name] for name, count in new.items()}
            for old, new in zip(counts, step.counts(), strict=True)
        ]
        self.gradients = [
            (parameter, parameter.grad)
            for parameter, old in zip(parameters, gradients, strict=True)
            if parameter.grad is not old
        ]

    def first(self) -> Output:
        """Take the step that was recorded, which Lightning has counted."""
        output = self._launched()
        self._move_schedulers()
        return output

    def replay(self, batch: Batch, *, new: bool) -> Output:
        """Take the step on a batch.

        Args:
            batch: of the shape of the first.
            new: whether gradients may be those of another step.
        """
        torch._foreach_copy_(list(self.batch), list(batch))
        for rate in self.rates:
            rate.follow()
        if new:
            for parameter, gradient in self.gradients:
                parameter.grad = gradient
        output = self._launched()
        for tracker, changes in zip(self.step.trackers, self.counted, strict=True):
            for name, change in changes.items():
                setattr(tracker, name, getattr(tracker, name) + change)
        self._move_schedulers()
        return output

    def options_changed(self) -> bool:
        """Whether an option of an optimizer is not what it was, its learning rate aside."""
        return any(rate.options_changed() for rate in self.rates)

    def has_lost_its_place(self) -> bool:
        """Whether a parameter or buffer is elsewhere, or trained where it was not, or new."""
        return self._places() != self.places or len(self.step.groups()) != len(self.rates)

    def _move_schedulers(self) -> None:
        if not self.step.model.automatic_optimization:  # else Lightning does, after the step
            for _ in range(self.counted[0]["completed"]):
                step_one_cycles(self.step.model)

    def _places(self) -> list[tuple[int, bool]]:
        return [(tensor.data_ptr(), tensor.requires_grad) for tensor in self.tensors]

    def _launched(self) -> Output:
        self.graph.replay()
        return {
            name: value.clone() if isinstance(value, Tensor) else value
            for name, value in self.output.items()
        }


def recorded(graph: CudaGraph, step: Callable[[], Output]) -> Output:
    """Record a step, and say in a line where that fails."""
    try:
        return graph.record(step)
    except Exception as error:
        first: BaseException = error
        while first.__context__ is not None:  # to end such a recording fails too, and says less
            first = first.__context__
        if isinstance(first, UserError):
            raise first from None
        what = next(iter(str(first).strip().splitlines()), type(first).__name__)
        raise UserError(
            f"the training step could not be recorded as a CUDA graph: {what}. Go on from the last "
            "checkpoint without trainer.cuda_graphs."
        ) from error
