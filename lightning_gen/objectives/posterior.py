"""The diagonal Gaussian posterior q(z|x) of a variational autoencoder."""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from lightning_gen.noise import normal_like


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


def standard_normal_log_prob(codes: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
    """Log p(z) under N(0, I), a density in nats."""
    return -0.5 * (codes.square() + math.log(2 * math.pi)).sum(dim=1)
