"""Vector quantisation: the gradient, the commitment and the use of a codebook.

van den Oord, Vinyals & Kavukcuoglu 2017, arXiv:1711.00937.
"""

from jaxtyping import Float, Shaped
from torch import Tensor

Map = Float[Tensor, "n d h w"]


def straight_through(features: Map, quantised: Map) -> Map:
    """``quantised`` in value, with the gradient of ``features`` (section 3.2 of the paper).

    What reaches the result in the backward pass is handed to the encoder unchanged, as if the
    nearest code were the encoder's own output; the codes get nothing.
    """
    return quantised.detach() + (features - features.detach())


def commitment(features: Map, quantised: Map) -> Float[Tensor, " n"]:
    """||z_e - sg[e]||^2 of each image: what the encoder pays for being far from its codes.

    The sum of the squared distances over positions and channels, in squared units of the code. As
    in the paper's equation 3 it stands beside -log p(x|z) in nats per image. Where an
    implementation takes means over both, its weight is larger than ours by the number of pixels and
    smaller by the number h * w * d of the features.
    """
    return (features - quantised.detach()).square().flatten(1).sum(dim=1)


def perplexity(counts: Shaped[Tensor, "codebooks size"]) -> Float[Tensor, " codebooks"]:
    """exp(-sum_k p_k log p_k), p_k = counts_k / sum(counts): the effective number of codes.

    From 1, where one code is all that is used, to ``size``, where all are used equally often.

    Args:
        counts: how often each code of each codebook was used; at least one use a codebook.
    """
    share = counts / counts.sum(dim=1, keepdim=True)
    entropy = -share.xlogy(share).sum(dim=1)
    return entropy.exp()


def code_use(counts: Shaped[Tensor, "codebooks size"]) -> Float[Tensor, " codebooks"]:
    """The share of each codebook's codes that was used at all, from 1 / ``size`` to 1."""
    return (counts > 0).float().mean(dim=1)
