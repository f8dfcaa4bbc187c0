"""The importance-weighted bound on log p(x)."""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from lightning_gen.objectives.posterior import DiagonalGaussian, standard_normal_log_prob

LogWeights = Float[Tensor, "k n"]

LogLikelihood = Callable[[Float[Tensor, "m d"]], Float[Tensor, " m"]]
"""Log p(x|z) of codes [k * N, D], k for each of the N images of a batch, in nats."""


def draw_log_weights(
    log_likelihood: LogLikelihood, posterior: DiagonalGaussian, num_samples: int
) -> tuple[LogWeights, LogWeights]:
    """Log p(x|z) and log p(z) / q(z|x) of k draws of the posterior of each of N images, in nats."""
    repeated = posterior.repeated(num_samples)
    codes = repeated.sample()
    ratio = standard_normal_log_prob(codes) - repeated.log_prob(codes)
    return log_likelihood(codes).view(num_samples, -1), ratio.view(num_samples, -1)


def importance_weighted_bound(log_weights: LogWeights) -> Float[Tensor, " n"]:
    """L_k = log 1/k sum_i p(x, z_i) / q(z_i|x), in nats per image (Burda et al. 2016, equation 8).

    In expectation at most log p(x), rising with k: the ELBO at k = 1, log p(x) in the limit
    (arXiv:1509.00519, theorem 1).
    """
    return torch.logsumexp(log_weights, dim=0) - math.log(len(log_weights))


def bound_in_parts(
    draw: Callable[[int], LogWeights], num_samples: int, at_once: int
) -> Float[Tensor, " n"]:
    """:func:`importance_weighted_bound` of ``num_samples`` draws, ``at_once`` in memory at a time.

    ``draw`` gives the log-weights [k, N] of k new draws for the same N images. The bound is in
    float64 on the CPU, since not every device has float64.
    """
    sizes = [min(at_once, num_samples - start) for start in range(0, num_samples, at_once)]
    parts = [torch.logsumexp(draw(size), dim=0).cpu().double() for size in sizes]
    return torch.logsumexp(torch.stack(parts), dim=0) - math.log(num_samples)
