"""A plane of the latent space, decoded."""

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from lightning_gen.contracts import WALKS, Codes, Decodes, SamplesCodes
from lightning_gen.latent import Plane, coordinate_plane, normal_quantiles, principal_plane
from lightning_gen.pictures.codes import device_of, draws_of_prior, free_dimensions
from lightning_gen.pictures.picture import (
    NO_NAMES,
    CodePicture,
    Names,
    Seen,
    View,
    decode_all,
    unique,
)

MASS = 0.98
"""The share of the prior, or of the codes, that a grid covers along each axis."""


@dataclass(frozen=True)
class LatentGrid(CodePicture):
    """What the decoder makes of a regular grid of codes.

    The plane is that of two latent dimensions, at quantiles of the prior (without a prior: evenly
    over the middle 98 % of the codes); where there are more, that of the principal axes of the
    codes, or of the ``dimensions``. Without an encoder the other dimensions are those of one draw
    of the prior.

    Args:
        num_images: the first so many are encoded.
        steps: images along each side.
        dimensions: the two latent dimensions to show.
    """

    requires = WALKS
    least: ClassVar[dict[str, int]] = {"num_images": 2, "steps": 2}

    steps: int = 15
    dimensions: tuple[int, int] | None = None

    @property
    def num_drawn(self) -> int:
        """The points of the grid."""
        return self.steps**2

    def check(self, model: object, names: Names = NO_NAMES) -> None:
        """Raise a UserError where the model lacks what is shown, or these dimensions."""
        super().check(model, names)
        if self.dimensions is not None and isinstance(model, SamplesCodes):
            coordinate_plane(torch.zeros(model.latent_dim), *self.dimensions)

    def draw(self, model: Any, seen: Seen) -> View:  # noqa: ANN401
        """The plane as a picture of images."""
        codes = self.codes_or_draw(model, seen).codes.to(device_of(model))
        return latent_grid(model, grid_axes(model, codes, self.steps, self.dimensions))


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

    - Two dimensions of a code, or the two that are asked for: quantiles of the prior, or, for a
      model without one, even steps over the middle 98 % of the codes. The other dimensions are the
      first code's.
    - More dimensions: quantiles along the two principal axes of the codes.

    A condition at the end of a code stays that of the first one. The codes are those of images, or
    one drawn from the model's prior.
    """
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
        xs = ys = quantiles
        if (draws := draws_of_prior(model)) is not None:
            shares = torch.linspace((1 - MASS) / 2, (1 + MASS) / 2, steps)
            xs, ys = draws[:, [first, second]].quantile(shares, dim=0).T
        return GridAxes(plane, xs, ys, meaning)
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
