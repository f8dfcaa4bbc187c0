"""What the two players of a generative adversarial network minimise.

Scores are a discriminator's raw output, high for real images. Losses are means over a batch, in
float32, and have no unit that compares between objectives.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from lightning_gen.contracts import Images
from lightning_gen.errors import check_number
from lightning_gen.noise import uniform_like

RawScores = Float[Tensor, " n"]
Loss = Float[Tensor, ""]


@dataclass(frozen=True)
class Adversarial(ABC):
    """A loss for each player."""

    @abstractmethod
    def discriminator(self, real_scores: RawScores, fake_scores: RawScores) -> Loss:
        """The discriminator's loss: mean over real images plus mean over generated ones."""

    @abstractmethod
    def generator(self, fake_scores: RawScores) -> Loss:
        """The generator's loss: mean over generated images."""


@dataclass(frozen=True)
class NonSaturating(Adversarial):
    """Binary cross-entropy on logits (Goodfellow et al. 2014, arXiv:1406.2661).

    With D = sigmoid(score) the discriminator minimises -log D(real) - log(1 - D(fake)), which is
    2 log 2 = 1.386 where it cannot tell them apart, and the generator -log D(fake).
    """

    def discriminator(self, real_scores: RawScores, fake_scores: RawScores) -> Loss:
        """E softplus(-real) + E softplus(fake)."""
        return F.softplus(-real_scores.float()).mean() + F.softplus(fake_scores.float()).mean()

    def generator(self, fake_scores: RawScores) -> Loss:
        """E softplus(-fake)."""
        return F.softplus(-fake_scores.float()).mean()


@dataclass(frozen=True)
class Hinge(Adversarial):
    """Hinge loss (Lim & Ye 2017, arXiv:1705.02894)."""

    def discriminator(self, real_scores: RawScores, fake_scores: RawScores) -> Loss:
        """E max(0, 1 - real) + E max(0, 1 + fake)."""
        return F.relu(1 - real_scores.float()).mean() + F.relu(1 + fake_scores.float()).mean()

    def generator(self, fake_scores: RawScores) -> Loss:
        """-E fake."""
        return -fake_scores.float().mean()


@dataclass(frozen=True)
class Wasserstein(Adversarial):
    """Wasserstein distance (Arjovsky, Chintala & Bottou 2017, arXiv:1701.07875).

    It is one where the discriminator is 1-Lipschitz: use it with a ``GradientPenalty``.
    """

    def discriminator(self, real_scores: RawScores, fake_scores: RawScores) -> Loss:
        """E fake - E real."""
        return fake_scores.float().mean() - real_scores.float().mean()

    def generator(self, fake_scores: RawScores) -> Loss:
        """-E fake."""
        return -fake_scores.float().mean()


Discriminator = Callable[[Tensor], Tensor]
"""From images [N, C, H, W] to raw scores [N]."""


@dataclass(frozen=True)
class Penalty(ABC):
    """A term of a discriminator's loss, times ``weight``: of its gradient in its images.

    Weights mean what they mean in the papers, whose images are in [-1, 1]: the gradient is with
    respect to 2 x - 1. A discriminator with BatchNorm has no gradient of one image alone.
    """

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
