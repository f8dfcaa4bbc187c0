"""Sums of mean codes."""

from typing import NamedTuple

from jaxtyping import Bool, Float
from torch import Tensor

from lightning_gen.contracts import Codes
from lightning_gen.errors import UserError

Code = Float[Tensor, " d"]


class Sum(NamedTuple):
    """a - b + c, with its terms."""

    a: Code
    b: Code
    c: Code

    @property
    def result(self) -> Code:
        """The code a, less b, plus c (Radford, Metz & Chintala 2016, arXiv:1511.06434)."""
        return self.a - self.b + self.c


def mean_code(codes: Codes, chosen: Bool[Tensor, " n"], name: str) -> Code:
    """The mean of the chosen codes.

    Raises:
        UserError: none is chosen; ``name`` says what they were to be.
    """
    if not chosen.any():
        raise UserError(f"there is no image of {name!r} among {len(codes)}. Take more images.")
    return codes[chosen].mean(dim=0)
