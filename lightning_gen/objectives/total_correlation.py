"""Total correlation of codes: how far their dimensions are from independent."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from lightning_gen.contracts import Codes
from lightning_gen.objectives.posterior import DiagonalGaussian


def minibatch_total_correlation(codes: Codes, posterior: DiagonalGaussian) -> Float[Tensor, ""]:
    """E log q(z) - sum_j log q(z_j), in nats, with q(z) the mixture of the batch's posteriors.

    Minibatch weighted sampling of Chen et al. 2018 (arXiv:1802.04942, section 4.1 and appendix C.1)
    without its constants, which the size of the dataset enters. A code lies in its own posterior,
    so that the value is too high for a small batch, by up to (D - 1) log N where the posteriors do
    not overlap, and compares only at one batch size. ``codes`` are one draw of each posterior. In
    float32 also under autocast; [N, N, D] in memory.
    """
    with torch.autocast(codes.device.type, enabled=False):
        log_var = posterior.log_var[None].float()
        squared = (codes.float()[:, None] - posterior.mean[None].float()).square()
        # log q(z_ij | x_k) of code i under posterior k, [N, N, D]
        log_density = -0.5 * (squared * torch.exp(-log_var) + log_var + math.log(2 * math.pi))
        log_n = math.log(len(codes))
        joint = torch.logsumexp(log_density.sum(dim=2), dim=1) - log_n
        marginals = (torch.logsumexp(log_density, dim=1) - log_n).sum(dim=1)
        return (joint - marginals).mean()


def permuted(codes: Codes) -> Codes:
    """Each dimension shuffled among the codes on its own: draws of prod_j q(z_j).

    Kim & Mnih 2018 (arXiv:1802.05983, algorithm 1).
    """
    order = torch.rand(codes.shape, device=codes.device).argsort(dim=0)
    return codes.gather(0, order)
