"""One latent dimension at a time."""

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor


def traverse(
    origin: Float[Tensor, " d"], dimensions: Sequence[int], values: Float[Tensor, "rows steps"]
) -> Float[Tensor, "rows steps d"]:
    """The origin with one dimension replaced: row by row another dimension, along it its values.

    Args:
        origin: a code.
        dimensions: which dimension each row changes.
        values: what the dimension becomes.
    """
    codes = origin.expand(*values.shape, -1).clone()
    for row, dimension in enumerate(dimensions):
        codes[row, :, dimension] = values[row].to(codes)
    return codes
