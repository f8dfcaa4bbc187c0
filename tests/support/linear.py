"""Models whose codes and images are known in closed form."""

import torch

from lightning_gen.contracts import Batch
from lightning_gen.objectives import DiagonalGaussian

SHAPE = (1, 2, 3)


class Linear:
    """A code is the image's coordinates along orthonormal directions; without a prior, as an AE."""

    def __init__(self, size=2):
        generator = torch.Generator().manual_seed(0)
        self.basis = torch.linalg.qr(torch.randn(6, 6, generator=generator)).Q[:size]

    def encode(self, images):
        return images.flatten(1) @ self.basis.T

    def decode(self, codes):
        return (codes @ self.basis).view(-1, *SHAPE)


class WithPrior(Linear):
    """The first ``latent_dim`` entries of a code are normal; what follows is a condition."""

    def __init__(self, size=2, latent_dim=None):
        super().__init__(size)
        self.latent_dim = latent_dim or size

    def sample_codes(self, n):
        return torch.randn(n, len(self.basis))


class WithPosterior(WithPrior):
    """Its posterior is fixed: dimension j has mean j and variance e^-j."""

    def posterior(self, images):
        numbers = torch.arange(self.latent_dim).float().expand(len(images), -1)
        return DiagonalGaussian(numbers, -numbers)


def batch_of(labels, factors=None):
    """Random images of these classes."""
    count = len(labels)
    factors = torch.empty(count, 0) if factors is None else torch.tensor(factors)
    return Batch(torch.rand(count, *SHAPE), torch.tensor(labels), factors)
