"""What each latent dimension does to an image."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from lightning_gen.contracts import WALKS, Codes, Decodes, SamplesCodes
from lightning_gen.errors import UserError
from lightning_gen.pictures.codes import LabelledCodes, device_of, draws_of_prior, free_dimensions
from lightning_gen.pictures.picture import CodePicture, NothingToDrawError, Seen, View, decode_all

WIDEST = 100
"""Standard deviations to a side: beyond there are no codes, and then no numbers."""

MOST_DIMENSIONS = 1000
"""Of feature maps of more numbers than these only chosen ones are walked along."""


@dataclass(frozen=True)
class Traversal(CodePicture):
    """One row a latent dimension: the code of an image with this dimension changed.

    The rows are the dimensions of the largest KL, or of the largest standard deviation of the codes
    for a model without a posterior. The range is ``span`` standard deviations of the prior to both
    sides, or, without a prior, of the dimension's own codes. The code is that of an image of middle
    brightness, of the first 64; without an encoder it is a draw of the prior. Of feature maps of
    more than 1,000 numbers only chosen ones are drawn: one of so many changes nothing that is seen.

    Args:
        num_images: the first so many rank the dimensions and give their range.
        num_dimensions: rows.
        dimensions: these dimensions instead.
        steps: images in a row.
        span: the range, in standard deviations to both sides.
    """

    requires = WALKS
    film = True
    least: ClassVar[dict[str, int]] = {"num_images": 2, "num_dimensions": 1, "steps": 2}

    num_dimensions: int = 10
    dimensions: Sequence[int] | None = None
    steps: int = 9
    span: float = 3.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.span <= WIDEST:
            raise UserError(
                f"Traversal.span is above 0, at most {WIDEST} standard deviations, got "
                f"{self.span:g}. Set it to 3."
            )

    @property
    def num_drawn(self) -> int:
        """The rows."""
        return len(self.dimensions or range(self.num_dimensions)) * self.steps

    def draw(self, model: Any, seen: Seen) -> View:  # noqa: ANN401
        """The rows; a UserError where the model lacks one of the dimensions."""
        codes = self.codes_or_draw(model, seen)
        size = free_dimensions(model, codes.codes)
        if self.dimensions is None:
            if size > MOST_DIMENSIONS:
                raise NothingToDrawError(
                    f"one of {size:,} dimensions changes nothing that is seen. Choose some by "
                    "Traversal.dimensions."
                )
            ranked = rank(model, codes, self.num_dimensions)
        elif wrong := [j for j in self.dimensions if not 0 <= j < size]:
            raise UserError(
                f"Traversal.dimensions are from 0 to {size - 1} in this model, got {wrong[0]}."
            )
        else:
            ranked = [Ranked(j, f"z{j}") for j in self.dimensions]
        origin = typical(model, codes.codes.to(device_of(model)))
        return traversal(model, origin, codes, ranked, self.steps, self.span)


class Ranked(NamedTuple):
    """A latent dimension, and why it stands where it stands."""

    dimension: int
    label: str


def traversal(
    model: Decodes,
    origin: Codes,
    spread: LabelledCodes | None,
    ranked: Sequence[Ranked],
    steps: int,
    span: float,
) -> View:
    """A row for each dimension: one code with this dimension changed in even steps.

    The code is ``origin`` [1, D]; the range is ``span`` standard deviations to both sides, of the
    prior, or for a model without one of the codes of images in ``spread``.
    """
    dimensions = [dimension for dimension, _ in ranked]
    positions = torch.linspace(-span, span, steps)
    values = positions.expand(len(dimensions), -1)
    draws = draws_of_prior(model)
    if isinstance(model, SamplesCodes) or spread is None:
        meaning = f"from {-span:g} to {span:g}, standard deviations of the prior"
    else:
        draws = spread.codes
        meaning = f"from {-span:g} to {span:g} standard deviations of its codes around their mean"
    if draws is not None:
        chosen = draws[:, dimensions]
        values = chosen.mean(dim=0)[:, None] + positions * chosen.std(dim=0, correction=0)[:, None]
    codes = origin[0].expand(*values.shape, -1).clone()
    for row, dimension in enumerate(dimensions):
        codes[row, :, dimension] = values[row].to(codes)
    images = decode_all(model, codes.flatten(0, 1))
    images = images.view(*codes.shape[:2], *images.shape[1:])
    rows = dict(zip((label for _, label in ranked), images, strict=True))
    columns = tuple(f"{position:.3g}" for position in positions.tolist())
    return View(rows, f"One dimension a row, {meaning}", columns)


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
