"""Planes through a latent space, and the principal axes of codes."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from lightning_gen.contracts import Codes
from lightning_gen.errors import UserError

Code = Float[Tensor, " d"]


@dataclass(frozen=True)
class Plane:
    """The codes origin + x * x_axis + y * y_axis."""

    origin: Code
    x_axis: Code
    y_axis: Code

    def codes(self, xs: Float[Tensor, " a"], ys: Float[Tensor, " b"]) -> Codes:
        """The code [b * a, D] of each point of a grid, one row of it after another."""
        across = xs.to(self.origin)[None, :, None] * self.x_axis
        down = ys.to(self.origin)[:, None, None] * self.y_axis
        return (self.origin + across + down).flatten(0, 1)

    def with_condition(self, condition: Code) -> "Plane":
        """The plane of codes [z, y] with the same y everywhere."""
        nothing = torch.zeros_like(condition)
        origin = torch.cat([self.origin, condition])
        x_axis, y_axis = (torch.cat([axis, nothing]) for axis in (self.x_axis, self.y_axis))
        return Plane(origin, x_axis, y_axis)


def coordinate_plane(origin: Code, first: int, second: int) -> Plane:
    """The plane of two latent dimensions, all others the origin's; a UserError without such two."""
    size = len(origin)
    if first == second or not all(0 <= dimension < size for dimension in (first, second)):
        raise UserError(
            f"a plane takes two different latent dimensions from 0 to {size - 1}, got {first} and "
            f"{second}."
        )
    axes = torch.eye(size, device=origin.device, dtype=origin.dtype)[[first, second]]
    return Plane(origin * (1 - axes.sum(dim=0)), axes[0], axes[1])


def principal_plane(codes: Codes) -> Plane:
    """Through the mean of the codes, along their two principal axes.

    x and y count standard deviations of the codes along each axis.
    """
    pca = principal_components(codes)
    axes = (pca.axes * pca.variances.sqrt()[:, None]).to(codes)
    if len(axes) < 2:
        axes = torch.cat([axes, torch.zeros_like(axes)])
    return Plane(codes.mean(dim=0), axes[0], axes[1])


def normal_quantiles(steps: int, mass: float = 0.98) -> Float[Tensor, " steps"]:
    """Points of a standard normal at even probabilities, the middle ``mass`` of it covered."""
    tail = (1 - mass) / 2
    normal = torch.distributions.Normal(0.0, 1.0)
    quantiles: Tensor = normal.icdf(torch.linspace(tail, 1 - tail, steps, dtype=torch.float64))  # type: ignore[no-untyped-call]
    return quantiles.float()


class PrincipalComponents(NamedTuple):
    """The directions in which codes vary most, and how much; in float64, on the CPU."""

    mean: Float[Tensor, " d"]
    axes: Float[Tensor, "k d"]
    """Unit vectors; zero where nothing varies."""
    variances: Float[Tensor, " k"]
    """Of the codes along each axis."""
    shares: Float[Tensor, " k"]
    """Of the variance of the codes in all."""

    def project(self, codes: Float[Tensor, "n d"]) -> Float[Tensor, "n k"]:
        """Where codes lie along the axes, seen from the mean."""
        return (codes.detach().double().cpu() - self.mean) @ self.axes.T


def principal_components(codes: Codes, count: int = 2) -> PrincipalComponents:
    """The first ``count`` principal components of codes [N, D], fewer where N or D is less.

    The sign of an axis is free: its largest entry is positive, so that pictures stay the same. A
    UserError says that a code is not finite.
    """
    check_finite(codes)
    exact = codes.detach().double().cpu()
    mean = exact.mean(dim=0)
    centred = exact - mean
    wide = centred.shape[0] < centred.shape[1]
    # Both products have the same eigenvalues: the smaller one is decomposed.
    scatter = centred @ centred.T if wide else centred.T @ centred
    eigenvalues, vectors = torch.linalg.eigh(scatter)
    squares = eigenvalues.flip(0)[:count].clamp(min=0)
    axes = vectors.flip(1)[:, :count].T
    if wide:
        axes = axes @ centred
    lengths = axes.norm(dim=1, keepdim=True)
    varies = squares[:, None] > torch.finfo(torch.float64).eps * len(centred) * squares.max()
    axes = torch.where(varies, axes / lengths, 0)
    largest = axes.gather(1, axes.abs().argmax(dim=1, keepdim=True))
    variances = squares / max(1, len(codes) - 1)
    shares = squares / centred.square().sum().clamp(min=torch.finfo(torch.float64).tiny)
    return PrincipalComponents(mean, torch.where(largest < 0, -axes, axes), variances, shares)


def check_finite(codes: Codes) -> None:
    """Raise a UserError where a code is NaN or infinite."""
    broken = int((~codes.isfinite()).any(dim=1).sum())
    if broken:
        raise UserError(
            f"{broken} of {len(codes)} codes are NaN or infinite. Lower the learning rate, or take "
            "an earlier checkpoint."
        )
