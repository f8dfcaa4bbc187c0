"""Paths from one code to another."""

from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

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
    # The angle as 2 atan2(|u - v|, |u + v|): the arc cosine is coarse near parallel and opposite.
    u, v = normalize(start, dim=1), normalize(end, dim=1)
    angle = 2 * torch.atan2((u - v).norm(dim=1), (u + v).norm(dim=1))[:, None, None]
    arc = (
        torch.sin((1 - t) * angle) * start[:, None] + torch.sin(t * angle) * end[:, None]
    ) / angle.sin()
    zero = (u == 0).all(dim=1) | (v == 0).all(dim=1)
    plain = (angle < PARALLEL) | (angle > torch.pi - PARALLEL) | zero[:, None, None]
    return torch.where(plain, linear(start, end, steps), arc)


PATHS: dict[PathName, Callable[[Codes, Codes, int], CodePaths]] = {
    "linear": linear,
    "spherical": spherical,
}


def _positions(steps: int, like: Codes) -> Float[Tensor, "steps 1"]:
    if steps < 2:
        raise UserError(f"steps counts both ends of an interpolation, at least 2, got {steps}.")
    return torch.linspace(0, 1, steps, device=like.device, dtype=like.dtype)[:, None]
