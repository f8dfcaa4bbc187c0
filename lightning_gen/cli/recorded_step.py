"""A training step that is recorded, and what Python adds to each replay of it."""

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Any

import torch
from torch import Tensor

from lightning_gen.cli.compiling import first_line
from lightning_gen.cli.cuda_graph import CudaGraph
from lightning_gen.cli.graph_rate import Rate
from lightning_gen.cli.plain_step import Output, Step
from lightning_gen.contracts import Batch
from lightning_gen.errors import UserError
from lightning_gen.models.manual import step_one_cycles


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
        raise UserError(
            f"the training step could not be recorded as a CUDA graph: {first_line(first)}. Go on "
            "from the last checkpoint without trainer.cuda_graphs."
        ) from error
