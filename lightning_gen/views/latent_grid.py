"""A plane of the latent space, decoded."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from lightning_gen.contracts import Codes, Decodes, SamplesCodes
from lightning_gen.errors import UserError
from lightning_gen.latent import Plane, coordinate_plane, normal_quantiles, principal_plane
from lightning_gen.views.codes import free_dimensions
from lightning_gen.views.interpolation import unique
from lightning_gen.views.view import View, decode_all

MASS = 0.98
"""The share of the prior, or of the codes, that a grid covers along each axis."""


class GridAxes(NamedTuple):
    """A plane, where to decode it, and what its axes are."""

    plane: Plane
    xs: Float[Tensor, " a"]
    ys: Float[Tensor, " b"]
    meaning: str


def latent_grid(model: Decodes, axes: GridAxes) -> View:
    """The plane as a picture of images: x to the right, y upwards, the values at the edges."""
    ys = axes.ys.flip(0)
    images = decode_all(model, axes.plane.codes(axes.xs, ys))
    rows = images.view(len(ys), len(axes.xs), *images.shape[1:])
    named = dict(zip(unique(distinct(ys)), rows, strict=True))
    return View(named, axes.meaning, tuple(distinct(axes.xs)), seamless=True)


def grid_axes(
    model: object, codes: Codes, steps: int, dimensions: tuple[int, int] | None = None
) -> GridAxes:
    """The plane worth looking at.

    - Two dimensions of a code, or the two that are asked for: quantiles of the standard normal
      prior, or, for a model without one, even steps over the middle 98 % of the codes. The other
      dimensions are the first code's.
    - More dimensions: quantiles along the two principal axes of the codes.

    A condition at the end of a code stays that of the first one.

    Args:
        model: whose prior counts.
        codes: codes of images, or one drawn from the prior.
        steps: points along each axis.
        dimensions: the two latent dimensions to show.
    """
    if steps < 2:
        raise UserError(f"a latent grid has at least 2 steps, got {steps}. Set it to 15.")
    free = free_dimensions(model, codes)
    if free == 2:
        dimensions = dimensions or (0, 1)
    quantiles = normal_quantiles(steps, MASS)
    if dimensions is None and len(codes) > 1:
        meaning = "Plane of the two principal axes of the codes (unit: their standard deviation)"
        plane = principal_plane(codes[:, :free]).with_condition(codes[0, free:])
        return GridAxes(plane, quantiles, quantiles, meaning)
    first, second = dimensions or (0, 1)
    plane = coordinate_plane(codes[0, :free], first, second).with_condition(codes[0, free:])
    if isinstance(model, SamplesCodes):
        meaning = f"Plane of z{first} (right) and z{second} (up), at quantiles of the prior"
        return GridAxes(plane, quantiles, quantiles, meaning)
    meaning = f"Plane of z{first} (right) and z{second} (up), over the middle 98 % of the codes"
    xs, ys = (even_steps(codes[:, dimension], steps) for dimension in (first, second))
    return GridAxes(plane, xs, ys, meaning)


def even_steps(values: Float[Tensor, " n"], steps: int) -> Float[Tensor, " steps"]:
    """From the lowest to the highest value, the tails left out."""
    tail = (1 - MASS) / 2
    low, high = values.float().quantile(torch.tensor([tail, 1 - tail], device=values.device))
    return torch.linspace(low.item(), high.item(), steps)


def distinct(values: Float[Tensor, " n"]) -> list[str]:
    """Numbers with two decimals, or as many as it takes to tell them apart."""
    for decimals in range(2, 7):
        labels = [f"{value:.{decimals}f}" for value in values.tolist()]
        if len(set(labels)) == len(labels):
            return labels
    return [f"{value:.3g}" for value in values.tolist()]
