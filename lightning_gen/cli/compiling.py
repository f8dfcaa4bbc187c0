"""Networks translated by torch.compile before they train."""

import warnings
from collections.abc import Callable, Iterator
from typing import Any, Literal

import torch
from lightning.pytorch.utilities import rank_zero_info
from torch import nn

Compile = bool | Literal["max-autotune"]
"""Whether to compile, or the mode of torch.compile to do it in."""


def compile_networks(model: nn.Module, mode: Compile, device: torch.device) -> None:
    """Let ``torch.compile`` translate each network of a model when it is first called.

    The numbers stay those of the plain networks, up to rounding. Where the compiler does not work
    at all, or not for a network, a warning says why, and the network runs as it is.

    Args:
        model: its networks are compiled, in place.
        mode: True, or a mode of torch.compile.
        device: where the model will be.
    """
    import torch._inductor.config as inductor  # here: it takes a second

    reason = why_not(device)
    if reason is not None:
        warnings.warn(
            f"{what_failed('this machine', reason)}; training goes on without.", stacklevel=2
        )
        return
    inductor.fallback_random = True  # the numbers of plain torch
    # Graphs are made of whole steps, by trainer.cuda_graphs.
    options: dict[str, Any] = {} if isinstance(mode, bool) else {"mode": f"{mode}-no-cudagraphs"}
    names = []
    for name, network in networks(model):
        network.compile(dynamic=False, **options)
        network._compiled_call_impl = OrPlain(name, network)
        names.append(name)
    rank_zero_info(f"torch.compile translates {', '.join(names)} when they are first called.")


def networks(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The children that have parameters and are called, which a likelihood is not; by name."""
    for name, child in model.named_children():
        called = type(child).forward is not nn.Module.forward
        if called and next(child.parameters(), None) is not None:
            yield name, child


def why_not(device: torch.device) -> str | None:
    """What keeps torch.compile from working on a device, in a line; None if it works."""
    try:
        torch.compile(torch.square)(torch.ones(8, device=device))
    except Exception as error:  # a compiler that is missing or too old: each backend has its own
        return first_line(error)
    return None


def first_line(error: BaseException) -> str:
    """An error in one line."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def what_failed(where: str, reason: str) -> str:
    """The beginning of a warning."""
    return f"torch.compile does not work for {where} ({reason})"


class OrPlain:
    """Calls a compiled network in training, and from the first failure on the plain one.

    Each size of a batch and each mode would be compiled for itself, which takes longer than it
    saves: evaluations and the last batch of an epoch, if it is smaller, are left to the plain one.

    Args:
        name: of the network in its model.
        network: it has been compiled.
    """

    def __init__(self, name: str, network: nn.Module) -> None:
        self.name = name
        self.network = network
        self.shapes: list[torch.Size] | None = None
        self.compiled: Callable[..., Any] = network._compiled_call_impl  # type: ignore[assignment]

    def __call__(self, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401  (the network's)
        """What the network gives."""
        shapes = [part.shape for part in arguments if isinstance(part, torch.Tensor)]
        if torch.is_grad_enabled() and self.shapes is None:
            self.shapes = shapes
        if not torch.is_grad_enabled() or shapes != self.shapes:
            return self.network._call_impl(*arguments, **options)  # type: ignore[no-untyped-call]
        try:
            return self.compiled(*arguments, **options)
        except Exception as error:
            self.network._compiled_call_impl = None
            result = self.network(*arguments, **options)  # raises what is not the compiler's fault
            failure = what_failed(f"the model's {self.name}", first_line(error))
            warnings.warn(f"{failure}; it runs as it is.", stacklevel=2)
            return result
