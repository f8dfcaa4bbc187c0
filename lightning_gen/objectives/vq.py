"""Vector quantisation: the gradient, the commitment and the use of a codebook.

van den Oord, Vinyals & Kavukcuoglu 2017, arXiv:1711.00937.
"""

from jaxtyping import Float, Shaped
from torch import Tensor

FeatureMap = Float[Tensor, "n d h w"]


def straight_through(features: FeatureMap, quantised: FeatureMap) -> FeatureMap:
    """``quantised`` in value, with the gradient of ``features`` (section 3.2 of the paper)."""
    return quantised.detach() + (features - features.detach())


def commitment(features: FeatureMap, quantised: FeatureMap) -> Float[Tensor, " n"]:
    """||z_e - sg[e]||^2 of each image, the paper's equation 3: being far from one's codes costs.

    Summed over positions and channels, beside -log p(x|z) summed over pixels: a weight w between
    means of both is the weight w * pixels / features here.
    """
    return (features - quantised.detach()).square().flatten(1).sum(dim=1)


def perplexity(counts: Shaped[Tensor, "codebooks size"]) -> Float[Tensor, " codebooks"]:
    """exp(-sum_k p_k log p_k), p_k = counts_k / sum(counts): the effective number of codes.

    From 1, where one code is all that is used, to ``size``, where all are used equally often.
    """
    share = counts / counts.sum(dim=1, keepdim=True)
    entropy = -share.xlogy(share).sum(dim=1)
    return entropy.exp()


def code_use(counts: Shaped[Tensor, "codebooks size"]) -> Float[Tensor, " codebooks"]:
    """The share of each codebook's codes that was used at all, from 1 / ``size`` to 1."""
    return (counts > 0).float().mean(dim=1)
