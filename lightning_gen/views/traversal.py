"""What each latent dimension does."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from lightning_gen.contracts import Codes, Decodes, SamplesCodes
from lightning_gen.errors import UserError
from lightning_gen.views.codes import LabelledCodes, free_dimensions
from lightning_gen.views.view import View, decode_all

WIDEST = 100
"""Standard deviations to a side: beyond there are no codes, and then no numbers."""


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

    Args:
        model: decodes.
        origin: the code [1, D] that is changed.
        spread: codes of images, from whose mean and standard deviation the range of a model without
            a standard normal prior follows.
        ranked: the dimensions, in the order of the rows.
        steps: images in a row.
        span: the range, in standard deviations to both sides.
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
