"""The learning rate of an optimizer whose step is in a CUDA graph."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor


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
