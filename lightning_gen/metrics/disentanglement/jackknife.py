"""The standard error of any score of a table of images."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lightning_gen.errors import UserError

Score = Callable[[Float[Tensor, "n d"], Int[Tensor, "n f"]], Float[Tensor, "*k"]]


class Jackknifed(NamedTuple):
    """A score (or several) and its standard error, in the score's unit."""

    value: Float[Tensor, "*k"]
    standard_error: Float[Tensor, "*k"]


def jackknife(
    score: Score, codes: Float[Tensor, "n d"], factors: Int[Tensor, "n f"], groups: int
) -> Jackknifed:
    """The score of all images, with its delete-a-group jackknife standard error.

    sqrt((g - 1) / g * sum_i (s_i - mean s)^2), where s_i is the score without the images i, i + g,
    i + 2g, ..., which must be in random order. It costs g more scores. The noise of a score that
    draws from the images is part of it, and counts twice at g = 5. nan for ``groups=0``, and where
    there is no score without the images of one group.
    """
    value = score(codes, factors)
    nan = torch.full_like(value, torch.nan)
    if groups == 0:
        return Jackknifed(value, nan)
    group = torch.arange(len(codes)) % groups
    try:
        scores = [score(codes[group != i], factors[group != i]) for i in range(groups)]
    except UserError:
        return Jackknifed(value, nan)
    without = torch.stack(scores)
    squares = (without - without.mean(dim=0)).square().sum(dim=0)
    return Jackknifed(value, (squares * (groups - 1) / groups).sqrt())
