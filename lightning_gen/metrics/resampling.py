"""Standard errors from the images at hand."""

import torch
from jaxtyping import Float
from torch import Tensor

from lightning_gen.errors import UserError

GROUPS = 20
"""Of a jackknife: its variance has 19 degrees of freedom, so that 1.96 errors cover 93 or 94 %."""


def check_groups(metric: str, groups: int) -> None:
    """Refuse a number of groups that has no meaning."""
    if groups < 0 or groups == 1:
        raise UserError(
            f"{metric}.groups is 2 or more, or 0 for no standard error, got {groups}. "
            f"Pass {GROUPS}."
        )


def jackknife_variance(without: Float[Tensor, "groups *k"]) -> Float[Tensor, "*k"]:
    """The variance of a score by a delete-a-group jackknife (Efron & Tibshirani 1993, chapter 11).

    (g - 1) / g sum_i (s_i - mean s)^2, s_i being the score without the images of group i; the
    variances of independent sets of images are added. It holds for smooth functions of means. Where
    the first order vanishes, as in a squared distance of equal distributions, the error comes out
    too large, by about the root of 2. nan with fewer than two groups.
    """
    if len(without) < 2:
        return without.new_full(without.shape[1:], torch.nan)
    return (len(without) - 1) * without.var(dim=0, correction=0)
