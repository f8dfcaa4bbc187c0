"""Total correlation of the codes."""

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from lightning_gen.errors import UserError
from lightning_gen.metrics.disentanglement.table import CodesAndFactors
from lightning_gen.metrics.resampling import GROUPS


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

    Args:
        seed: see CodesAndFactors.
        kwargs: passed to torchmetrics.Metric.
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
