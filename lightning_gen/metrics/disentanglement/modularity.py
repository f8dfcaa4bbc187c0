"""Modularity: does a dimension depend on one factor only?"""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lightning_gen.metrics.disentanglement.information import equal_width_bins, mutual_information
from lightning_gen.metrics.disentanglement.table import CodesAndFactors, varying

BEYOND_CHANCE = 6
"""How many standard deviations information exceeds that of shuffled images, to count."""


def modularity_of(information: Float[Tensor, "d f"]) -> Float[Tensor, ""]:
    """Mean over dimensions of 1 - sum_{k not best} I_jk^2 / (I_j,best^2 (f - 1)).

    Dimensions without information are left out; 0 if all are. A single factor gives 1.
    """
    squares = information.square()
    best = squares.amax(dim=1)
    others = squares.sum(dim=1) - best
    informed = best > 0
    if not informed.any():
        return torch.zeros_like(best[0])
    return 1 - (others / best)[informed].mean() / max(1, information.shape[1] - 1)


def information_beyond_chance(
    binned: Int[Tensor, "n d"], factors: Int[Tensor, "n f"], shuffles: int, seed: int
) -> Float[Tensor, "d f"]:
    """The mutual information, 0 where it is within what codes of shuffled images have."""
    information = mutual_information(binned, factors)
    if shuffles == 0:
        return information
    generator = torch.Generator().manual_seed(seed)
    orders = [torch.randperm(len(binned), generator=generator) for _ in range(shuffles)]
    chance = torch.stack([mutual_information(binned[order], factors) for order in orders])
    limit = chance.mean(dim=0) + BEYOND_CHANCE * chance.std(dim=0)
    return torch.where(information > limit, information, 0.0)


class Modularity(CodesAndFactors):
    """Modularity (Ridgeway & Mozer 2018, arXiv:1802.05312, section 3).

    How little a dimension says about factors other than the one it says most about, averaged over
    the dimensions that say anything; whether the factors are said well is not asked. From 0 to 1,
    without unit; higher is better. Codes are cut into ``bins`` bins of equal width a dimension, as
    in Locatello et al. 2019 (arXiv:1811.12359).

    The histograms of finitely many images show information where there is none, and most about the
    factor of most values, by which alone a random code would have 0.5 to 0.7. Hence information
    counts only where it exceeds that of shuffled images by far: unused dimensions are left out
    (Locatello et al. give 0 to those that are exactly constant), and a random code has 0. With
    ``shuffles=0`` all information counts. Cost: 1 + ``shuffles`` histograms a dimension and factor.

    Args:
        bins: number of bins of each dimension.
        shuffles: how often the images are shuffled to see what chance gives; 0, or at least 2.
        seed: see CodesAndFactors.
        kwargs: passed to torchmetrics.Metric.
    """

    def __init__(
        self,
        bins: int = 20,
        shuffles: int = 20,
        seed: int = 0,
        **kwargs: Any,  # noqa: ANN401  (torchmetrics')
    ) -> None:
        super().__init__(seed, **kwargs)
        self.bins = bins
        self.shuffles = shuffles

    def score(self, codes: Float[Tensor, "n d"], factors: Int[Tensor, "n f"]) -> Float[Tensor, ""]:
        """``modularity_of`` the mutual information beyond chance of binned codes and factors."""
        factors = factors[:, varying(factors)]
        binned = equal_width_bins(codes, self.bins)
        return modularity_of(information_beyond_chance(binned, factors, self.shuffles, self.seed))
