"""Planes through a latent space."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from lightning_gen.contracts import Codes
from lightning_gen.errors import UserError
from lightning_gen.latent.principal import principal_components

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
    """The plane of two latent dimensions; their values are x and y, the others the origin's.

    Raises:
        UserError: there are no two such dimensions.
    """
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
