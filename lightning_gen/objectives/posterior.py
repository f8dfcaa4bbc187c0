"""The diagonal Gaussian posterior q(z|x) of a variational autoencoder."""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from lightning_gen.contracts import Codes
from lightning_gen.noise import normal_like
from lightning_gen.priors import StandardNormal, VectorPrior


class DiagonalGaussian(NamedTuple):
    """q(z|x) = N(mean, diag(exp(log_var))), each [N, D] in float32."""

    mean: Float[Tensor, "n d"]
    log_var: Float[Tensor, "n d"]

    @classmethod
    def from_features(cls, features: Float[Tensor, "n d2"]) -> "DiagonalGaussian":
        """Mean and log-variance, the two halves of an encoder's output."""
        mean, log_var = features.float().chunk(2, dim=1)
        return cls(mean, log_var)

    def sample(self) -> Float[Tensor, "n d"]:
        """Mean + std * noise: the reparameterisation of Kingma & Welling 2014, section 2.4."""
        return self.mean + torch.exp(0.5 * self.log_var) * normal_like(self.mean)

    def kl_to_standard_normal(self) -> Float[Tensor, "n d"]:
        """KL(q(z|x) || N(0, I)) of each dimension, in nats (Kingma & Welling 2014, appendix B)."""
        return 0.5 * (self.mean.square() + self.log_var.exp() - 1 - self.log_var)

    def repeated(self, times: int) -> "DiagonalGaussian":
        """The posteriors of all images, ``times`` over: [times * N, D]."""
        return DiagonalGaussian(self.mean.repeat(times, 1), self.log_var.repeat(times, 1))

    def log_prob(self, codes: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        """Log q(z|x) of one code an image, a density in nats."""
        deviation = (codes - self.mean) * torch.exp(-0.5 * self.log_var)
        terms = deviation.square() + self.log_var + math.log(2 * math.pi)
        return -0.5 * terms.sum(dim=1)


def kl_divergence(
    posterior: DiagonalGaussian, prior: VectorPrior, codes: Codes | None = None
) -> Float[Tensor, "n d"]:
    """KL(q(z|x) || p(z)) of each image in nats, whose sum over the D dimensions is meant.

    That of each dimension in closed form where p(z) = N(0, I). Of another prior the estimate
    log q(z|x) - log p(z) from one draw of each posterior, in D equal shares; ``codes`` are these
    draws, where they are at hand.
    """
    if isinstance(prior, StandardNormal):
        return posterior.kl_to_standard_normal()
    codes = posterior.sample() if codes is None else codes
    total = posterior.log_prob(codes) - prior.log_prob(codes)
    return (total / codes.shape[1])[:, None].expand(-1, codes.shape[1])


LogWeights = Float[Tensor, "k n"]

LogLikelihood = Callable[[Float[Tensor, "m d"]], Float[Tensor, " m"]]
"""Log p(x|z) of codes [k * N, D], k for each of the N images of a batch, in nats."""


def draw_log_weights(
    log_likelihood: LogLikelihood,
    posterior: DiagonalGaussian,
    prior: VectorPrior,
    num_samples: int,
) -> tuple[LogWeights, LogWeights]:
    """Log p(x|z) and log p(z) / q(z|x) of k draws of the posterior of each of N images, in nats."""
    repeated = posterior.repeated(num_samples)
    codes = repeated.sample()
    ratio = prior.log_prob(codes) - repeated.log_prob(codes)
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
