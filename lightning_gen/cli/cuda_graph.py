"""A sequence of operations on a GPU that is recorded once and then launched as a whole."""

import gc
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch

T = TypeVar("T")

WAITS = "called a synchronizing CUDA operation"
"""In torch's warning of it."""

OF_WATCHING = "Synchronization debug mode"
"""In torch's warning that it may not see all of them."""


class CudaGraph:
    """One CUDA graph: warm up, record, replay, in this order.

    A recording that fails leaves torch's random state of the device unusable, so that whatever is
    known to make it fail is to be found while it is warmed up.

    Args:
        device: where the operations run.
    """

    def __init__(self, device: torch.device) -> None:
        self.stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self.graph = torch.cuda.CUDAGraph()

    def warm_up(self, step: Callable[[], T]) -> T:
        """Take a step where recordings are made, for what libraries set up at their first call."""
        here = torch.cuda.current_stream(self.stream.device)
        self.stream.wait_stream(here)
        with torch.cuda.stream(self.stream):
            result = step()
        here.wait_stream(self.stream)
        return result

    def watch(self, step: Callable[[], T]) -> tuple[T, str | None]:
        """Warm up, and say where the step waits for the device, which no graph can."""
        before = torch.cuda.get_sync_debug_mode()
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            torch.cuda.set_sync_debug_mode("warn")
            try:
                result = self.warm_up(step)
            finally:
                torch.cuda.set_sync_debug_mode(before)
        waits = [warning for warning in said if WAITS in str(warning.message)]
        for warning in said:
            if warning not in waits and OF_WATCHING not in str(warning.message):
                warnings.warn_explicit(
                    warning.message, warning.category, warning.filename, warning.lineno
                )
        if not waits:
            return result, None
        where = f"{Path(waits[0].filename).name}, line {waits[0].lineno}"
        return result, f"a step waits for the device ({where})"

    def record(self, step: Callable[[], T]) -> T:
        """Record a step without taking it; the tensors it gives get their values from a replay."""
        collecting = gc.isenabled()
        gc.disable()  # a graph that is freed meanwhile ends the recording
        try:
            # Threads that load data or send logs may call CUDA meanwhile.
            with torch.cuda.graph(
                self.graph, stream=self.stream, capture_error_mode="thread_local"
            ):
                return step()
        finally:
            if collecting:
                gc.enable()

    def replay(self) -> None:
        """Take the step again, on what is now in the tensors that it reads."""
        self.graph.replay()
