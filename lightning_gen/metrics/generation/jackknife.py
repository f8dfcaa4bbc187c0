"""Standard errors without another pass over the images."""

import torch
from jaxtyping import Float
from torch import Tensor

from lightning_gen.errors import UserError

PerGroup = Float[Tensor, " groups"]


def jackknife_error(
    without_real: PerGroup, without_generated: Float[Tensor, " other"]
) -> Float[Tensor, ""]:
    """The standard error of a score of two independent sets: delete-a-group jackknife.

    The variances (g - 1) / g sum_i (s_i - mean s)^2 of both sets are added, s_i being the score
    without group i of one of them (Efron & Tibshirani 1993, chapter 11). nan with fewer than two
    groups. Where two distributions are equal, the first order of a squared distance vanishes and
    the error comes out too large, by about the root of 2.
    """
    return (_variance(without_real) + _variance(without_generated)).sqrt()


def _variance(scores: PerGroup) -> Float[Tensor, ""]:
    if len(scores) < 2:
        return scores.new_full((), torch.nan)
    return (len(scores) - 1) * scores.var(correction=0)


def check_groups(metric: str, groups: int) -> None:
    """Refuse a number of groups that has no meaning."""
    if groups < 0 or groups == 1:
        raise UserError(
            f"{metric}.groups is 2 or more, or 0 for no standard error, got {groups}. Pass 10."
        )
