"""Scores by information, in nats: MIG, modularity, total correlation."""

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from lightning_gen.errors import UserError
from lightning_gen.metrics.disentanglement.table import CodesAndFactors, varying
from lightning_gen.metrics.estimate import GROUPS


def equal_width_bins(codes: Float[Tensor, "n d"], bins: int) -> Int[Tensor, "n d"]:
    """Number of each code's bin, of ``bins`` between its dimension's least and largest value."""
    codes = codes.double()
    low, high = codes.amin(dim=0), codes.amax(dim=0)
    width = torch.where(high > low, high - low, 1.0)
    return ((codes - low) / width * bins).long().clamp(max=bins - 1)


def information_of_pairs(
    binned: Int[Tensor, "n d"], factors: Int[Tensor, "n f"]
) -> Float[Tensor, "d f"]:
    """I(z_j; v_k) = sum p(z, v) log(p(z, v) / (p(z) p(v))), in nats, from the joint histogram.

    It is too large by about (bins - 1)(values - 1) / 2n for n images, which is what a code that
    says nothing has. A constant dimension has exactly 0.
    """
    return torch.stack([_of_one_factor(binned, column) for column in factors.T], dim=1)


def _of_one_factor(binned: Int[Tensor, "n d"], factor: Int[Tensor, " n"]) -> Float[Tensor, " d"]:
    (n, d), bins = binned.shape, int(binned.max()) + 1
    values, number = torch.unique(factor, return_inverse=True)
    cells = (torch.arange(d) * bins + binned) * len(values) + number[:, None]
    joint = cells.flatten().bincount(minlength=d * bins * len(values)).double()
    joint = joint.view(d, bins, len(values))
    apart = joint.sum(dim=2, keepdim=True) * joint.sum(dim=1, keepdim=True)
    return torch.xlogy(joint, joint * n / apart.clamp(min=1)).sum(dim=(1, 2)) / n


def entropy(factors: Int[Tensor, "n f"]) -> Float[Tensor, " f"]:
    """H(v_k) = -sum p(v) log p(v), in nats, from the histogram of each factor."""
    counts = [torch.unique(column, return_counts=True)[1].double() for column in factors.T]
    return torch.stack([-torch.xlogy(c / c.sum(), c / c.sum()).sum() for c in counts])


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
        seed: of the order of the images.
    """

    groups = GROUPS

    def __init__(self, bins: int = 20, seed: int = 0) -> None:
        super().__init__(seed)
        self.bins = bins

    def score(self, codes: Float[Tensor, "n d"], factors: Int[Tensor, "n f"]) -> Float[Tensor, ""]:
        """Mean over factors v_k of (I(z_a; v_k) - I(z_b; v_k)) / H(v_k), a and b the two best.

        A code of one dimension has a second one that says nothing.
        """
        factors = factors[:, varying(factors)]
        information = information_of_pairs(equal_width_bins(codes, self.bins), factors)
        nothing = torch.zeros(1, factors.shape[1], dtype=torch.float64)
        best, second = torch.cat([information, nothing]).topk(2, dim=0).values
        return torch.mean((best - second) / entropy(factors))


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
        seed: of the shuffles.
    """

    def __init__(self, bins: int = 20, shuffles: int = 20, seed: int = 0) -> None:
        super().__init__(seed)
        self.bins = bins
        self.shuffles = shuffles

    def score(self, codes: Float[Tensor, "n d"], factors: Int[Tensor, "n f"]) -> Float[Tensor, ""]:
        """Modularity from the information that is beyond what codes of shuffled images have."""
        factors = factors[:, varying(factors)]
        binned = equal_width_bins(codes, self.bins)
        information = information_of_pairs(binned, factors)
        if self.shuffles == 0:
            return modularity_of(information)
        generator = torch.Generator().manual_seed(self.seed)
        orders = [torch.randperm(len(binned), generator=generator) for _ in range(self.shuffles)]
        chance = torch.stack([information_of_pairs(binned[order], factors) for order in orders])
        limit = chance.mean(dim=0) + BEYOND_CHANCE * chance.std(dim=0)
        return modularity_of(torch.where(information > limit, information, 0.0))


def gaussian_total_correlation(codes: Float[Tensor, "n d"]) -> Float[Tensor, ""]:
    """KL(N(m, C) || N(m, diag C)) = 0.5 (sum_j log C_jj - log det C), in nats.

    C is the covariance of the codes; constant dimensions are left out.
    """
    codes = codes.double()
    codes = codes[:, (codes != codes[:1]).any(dim=0)]
    if len(codes) <= codes.shape[1]:
        raise UserError(
            f"Total correlation needs more images than dimensions, got {len(codes)} images "
            f"of {codes.shape[1]} dimensions: give it more images."
        )
    if codes.shape[1] == 0:
        return codes.new_zeros(())
    # The correlation matrix has the covariance's determinant without its diagonal.
    scaled = (codes - codes.mean(dim=0)) / codes.std(dim=0)
    correlation = scaled.T @ scaled / (len(codes) - 1)
    log_determinant: Tensor = torch.linalg.slogdet(correlation).logabsdet
    return -0.5 * log_determinant


class GaussianTotalCorrelation(CodesAndFactors):
    """Total correlation of the codes under a Gaussian fit, in nats (Watanabe 1960).

    0 where the dimensions are uncorrelated, without an upper limit; lower is better, though a
    collapsed code has 0 too. Locatello et al. 2019 (arXiv:1811.12359, section 5.3) take it from the
    mean codes. A fit to n images of d independent dimensions has about d (d - 1) / 4n. Cost:
    nothing. Factors are not looked at.
    """

    higher_is_better: bool | None = False
    groups = GROUPS

    def update(
        self, codes: Float[Tensor, "n d"], factors: Shaped[Tensor, "n f"] | None = None
    ) -> None:
        """Add a batch of codes."""
        super().update(codes, codes.new_zeros(len(codes), 1) if factors is None else factors)

    def score(self, codes: Float[Tensor, "n d"], factors: Int[Tensor, "n f"]) -> Float[Tensor, ""]:
        """:func:`gaussian_total_correlation` of the codes."""
        return gaussian_total_correlation(codes)
