"""Paths from one code to another."""

from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from lightning_gen.contracts import Codes
from lightning_gen.errors import UserError

CodePaths = Float[Tensor, "n steps d"]
PathName = Literal["linear", "spherical"]

PARALLEL = 1e-4
"""Radians between two codes below which the arc is the straight line."""


def linear(start: Codes, end: Codes, steps: int) -> CodePaths:
    """Even steps along the straight line, both ends included."""
    t = _positions(steps, start)
    return start[:, None] + t * (end - start)[:, None]


def spherical(start: Codes, end: Codes, steps: int) -> CodePaths:
    """Even angles along the great arc (Shoemake 1985; White 2016, arXiv:1609.04468).

    Codes of a normal prior in many dimensions lie close to a sphere, and a straight line leaves it.
    Where two codes are parallel, opposite, or one is zero, there is no one arc: the line is taken.
    """
    t = _positions(steps, start)
    lengths = start.norm(dim=1) * end.norm(dim=1)
    cosine = (start * end).sum(dim=1) / lengths.clamp(min=torch.finfo(start.dtype).tiny)
    angle = cosine.clamp(-1, 1).acos()[:, None, None]
    arc = (
        torch.sin((1 - t) * angle) * start[:, None] + torch.sin(t * angle) * end[:, None]
    ) / angle.sin()
    plain = (angle < PARALLEL) | (angle > torch.pi - PARALLEL) | (lengths == 0)[:, None, None]
    return torch.where(plain, linear(start, end, steps), arc)


PATHS: dict[PathName, Callable[[Codes, Codes, int], CodePaths]] = {
    "linear": linear,
    "spherical": spherical,
}


def _positions(steps: int, like: Codes) -> Float[Tensor, "steps 1"]:
    if steps < 2:
        raise UserError(f"steps counts both ends of an interpolation, at least 2, got {steps}.")
    return torch.linspace(0, 1, steps, device=like.device, dtype=like.dtype)[:, None]
