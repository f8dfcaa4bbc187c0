"""Penalties on the gradient of a discriminator with respect to its images.

Weights mean what they mean in the papers, whose images are in [-1, 1]: the gradient is with respect
to 2 x - 1 for images x in [0, 1]. The gradient of each image is its own only where the
discriminator judges images one by one, so it must have no BatchNorm.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from lightning_gen.contracts import Images
from lightning_gen.errors import check_number
from lightning_gen.noise import uniform_like
from lightning_gen.objectives.adversarial import Loss

Discriminator = Callable[[Tensor], Tensor]
"""From images [N, C, H, W] to raw scores [N]."""


@dataclass(frozen=True)
class Penalty(ABC):
    """A term that is added to the discriminator's loss, times ``weight``."""

    weight: float = 10.0

    def __post_init__(self) -> None:
        remedy = "Pass 10.0, or leave model.penalty out for none."
        check_number(f"{type(self).__name__}.weight", self.weight, 0, remedy, above=True)

    @abstractmethod
    def __call__(self, discriminator: Discriminator, real: Images, fake: Images) -> Loss:
        """The weighted term, a mean over a batch of real images and as many generated ones."""


@dataclass(frozen=True)
class R1(Penalty):
    """weight / 2 * E |grad D(x)|^2 over real images (Mescheder et al. 2018, arXiv:1801.04406)."""

    def __call__(self, discriminator: Discriminator, real: Images, fake: Images) -> Loss:
        """The penalty on real images; the generated ones do not enter."""
        squared = image_gradients(discriminator, real).square().flatten(1).sum(dim=1)
        return 0.5 * self.weight * squared.mean()


@dataclass(frozen=True)
class GradientPenalty(Penalty):
    """weight * E (|grad D(x)| - 1)^2 (Gulrajani et al. 2017, arXiv:1704.00028).

    Each x lies on the line between a real and a generated image, at a uniform place of its own.
    """

    def __call__(self, discriminator: Discriminator, real: Images, fake: Images) -> Loss:
        """The penalty between the images."""
        place = uniform_like(real[:, :1, :1, :1])
        between = torch.lerp(fake.detach().to(real.dtype), real.detach(), place)
        gradients = image_gradients(discriminator, between).flatten(1)
        norms: Tensor = torch.linalg.vector_norm(gradients, dim=1)
        return self.weight * (norms - 1).square().mean()


def image_gradients(discriminator: Discriminator, images: Images) -> Images:
    """The gradient of each image's score with respect to 2 x - 1, itself differentiable."""
    images = images.detach().requires_grad_()
    # In float16 it would fall below the smallest number, and the loss scale does not reach it.
    with torch.autocast(images.device.type, enabled=False):
        total = discriminator(images).sum()
        return torch.autograd.grad(total, images, create_graph=True)[0] / 2
