"""What latent dimensions do: a plane of the latent space decoded, and one dimension a row."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from lightning_gen.contracts import Codes, Decodes, SamplesCodes
from lightning_gen.errors import UserError
from lightning_gen.latent import Plane, coordinate_plane, normal_quantiles, principal_plane
from lightning_gen.views.codes import LabelledCodes, free_dimensions
from lightning_gen.views.view import View, decode_all, unique

MASS = 0.98
"""The share of the prior, or of the codes, that a grid covers along each axis."""

WIDEST = 100
"""Standard deviations to a side: beyond there are no codes, and then no numbers."""


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

    A condition at the end of a code stays that of the first one. The codes are those of images, or
    one drawn from the model's prior.
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


class Ranked(NamedTuple):
    """A latent dimension, and why it stands where it stands."""

    dimension: int
    label: str


def traversal(
    model: Decodes,
    origin: Codes,
    spread: LabelledCodes | None,
    ranked: Sequence[Ranked],
    *,
    steps: int = 9,
    span: float = 3.0,
) -> View:
    """A row for each dimension: one code with this dimension changed in even steps.

    The code is ``origin`` [1, D]; the range is ``span`` standard deviations to both sides, of the
    prior, or for a model without a standard normal one of the codes of images in ``spread``.
    """
    check_range(steps, span)
    dimensions = [dimension for dimension, _ in ranked]
    positions = torch.linspace(-span, span, steps)
    values = positions.expand(len(dimensions), -1)
    if isinstance(model, SamplesCodes) or spread is None:
        meaning = f"from {-span:g} to {span:g}, standard deviations of the prior"
    else:
        chosen = spread.codes[:, dimensions]
        values = chosen.mean(dim=0)[:, None] + positions * chosen.std(dim=0, correction=0)[:, None]
        meaning = f"from {-span:g} to {span:g} standard deviations of its codes around their mean"
    codes = origin[0].expand(*values.shape, -1).clone()
    for row, dimension in enumerate(dimensions):
        codes[row, :, dimension] = values[row].to(codes)
    images = decode_all(model, codes.flatten(0, 1))
    images = images.view(*codes.shape[:2], *images.shape[1:])
    rows = dict(zip((label for _, label in ranked), images, strict=True))
    columns = tuple(f"{position:.3g}" for position in positions.tolist())
    return View(rows, f"One dimension a row, {meaning}", columns)


def check_range(steps: int, span: float) -> None:
    """Raise a UserError where a traversal of so many steps and this span makes no sense."""
    if steps < 2 or not 0 < span <= WIDEST:
        raise UserError(
            f"a traversal has at least 2 steps and a span above 0, at most {WIDEST} standard "
            f"deviations, got {steps} and {span:g}."
        )


def typical(model: Decodes, codes: Codes) -> Float[Tensor, "1 d"]:
    """The code, of the first 64, whose decoded image is of middle brightness.

    A dark image hides what is changed; the mean of all codes decodes to a mixture of classes.
    """
    brightness = decode_all(model, codes[:64]).flatten(1).mean(dim=1)
    return codes[brightness.argsort()[len(brightness) // 2]][None]


def rank(model: object, codes: LabelledCodes, count: int) -> list[Ranked]:
    """The dimensions that carry most: by mean KL, or by standard deviation without a posterior.

    Of one code alone they are the first ones.
    """
    if len(codes.codes) == 1:
        free = free_dimensions(model, codes.codes)
        return [Ranked(j, f"z{j}") for j in range(min(count, free))]
    if codes.kl.shape[1]:
        score, unit = codes.kl.mean(dim=0), "nats"
    else:
        free = free_dimensions(model, codes.codes)
        score, unit = codes.codes[:, :free].std(dim=0, correction=0), "sd"
    order = score.argsort(descending=True)[:count].tolist()
    return [Ranked(j, f"z{j}  {score[j]:.2f} {unit}") for j in order]
