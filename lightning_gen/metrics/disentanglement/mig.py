"""The mutual information gap."""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lightning_gen.metrics.disentanglement.information import (
    entropy,
    equal_width_bins,
    mutual_information,
)
from lightning_gen.metrics.disentanglement.table import CodesAndFactors, varying
from lightning_gen.metrics.resampling import GROUPS


class MIG(CodesAndFactors):
    """Mutual information gap (Chen et al. 2018, arXiv:1802.04942, section 4).

    How much more the most informative dimension of a factor says than the next one, as a share of
    the factor's entropy, averaged over factors. From 0 to 1, without unit; higher is better. 1
    where each factor is known from one dimension and no other says anything of it; about 0 for a
    code that says nothing, or the same in two dimensions.

    Codes are cut into ``bins`` bins of equal width a dimension, as in Locatello et al. 2019
    (arXiv:1811.12359). Values of a factor that share a bin are not told apart, so that a factor of
    more than ``bins`` values stays below 1. Cost: one histogram a dimension and factor.

    Args:
        bins: number of bins of each dimension.
        seed: see CodesAndFactors.
        kwargs: passed to torchmetrics.Metric.
    """

    groups = GROUPS

    def __init__(self, bins: int = 20, seed: int = 0, **kwargs: Any) -> None:  # noqa: ANN401
        super().__init__(seed, **kwargs)
        self.bins = bins

    def score(self, codes: Float[Tensor, "n d"], factors: Int[Tensor, "n f"]) -> Float[Tensor, ""]:
        """Mean over factors v_k of (I(z_a; v_k) - I(z_b; v_k)) / H(v_k), a and b the two best.

        A code of one dimension has a second one that says nothing.
        """
        factors = factors[:, varying(factors)]
        information = mutual_information(equal_width_bins(codes, self.bins), factors)
        nothing = torch.zeros(1, factors.shape[1], dtype=torch.float64)
        best, second = torch.cat([information, nothing]).topk(2, dim=0).values
        return torch.mean((best - second) / entropy(factors))
