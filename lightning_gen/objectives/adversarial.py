"""What the two players of a generative adversarial network minimise.

Scores are a discriminator's raw output, high for real images. Losses are means over a batch, in
float32, and have no unit that compares between objectives.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from lightning_gen.contracts import Images
from lightning_gen.errors import UserError, check_number, check_whole
from lightning_gen.noise import uniform_like

RawScores = Float[Tensor, " n"]
Loss = Float[Tensor, ""]


@dataclass(frozen=True)
class Adversarial(ABC):
    """A loss for each player.

    Attributes:
        compares: the generator's loss takes the scores of real images, too.
        undecided: the discriminator's loss where it cannot tell real images from generated ones;
            None where that is no sign of anything.
    """

    compares: ClassVar[bool] = False
    undecided: ClassVar[float | None] = None

    @abstractmethod
    def discriminator(self, real_scores: RawScores, fake_scores: RawScores) -> Loss:
        """The discriminator's loss: mean over real images plus mean over generated ones."""

    @abstractmethod
    def generator(self, fake_scores: RawScores, real_scores: RawScores | None = None) -> Loss:
        """The generator's loss: mean over generated images, or over pairs with real ones."""


@dataclass(frozen=True)
class NonSaturating(Adversarial):
    """Binary cross-entropy on logits (Goodfellow et al. 2014, arXiv:1406.2661).

    With D = sigmoid(score) the discriminator minimises -log D(real) - log(1 - D(fake)), which is
    2 log 2 = 1.386 where it cannot tell them apart, and the generator -log D(fake).
    """

    undecided: ClassVar[float | None] = 2 * math.log(2)

    def discriminator(self, real_scores: RawScores, fake_scores: RawScores) -> Loss:
        """E softplus(-real) + E softplus(fake)."""
        return F.softplus(-real_scores.float()).mean() + F.softplus(fake_scores.float()).mean()

    def generator(self, fake_scores: RawScores, real_scores: RawScores | None = None) -> Loss:
        """E softplus(-fake)."""
        return F.softplus(-fake_scores.float()).mean()


@dataclass(frozen=True)
class Hinge(Adversarial):
    """Hinge loss (Lim & Ye 2017, arXiv:1705.02894)."""

    undecided: ClassVar[float | None] = 2.0

    def discriminator(self, real_scores: RawScores, fake_scores: RawScores) -> Loss:
        """E max(0, 1 - real) + E max(0, 1 + fake)."""
        return F.relu(1 - real_scores.float()).mean() + F.relu(1 + fake_scores.float()).mean()

    def generator(self, fake_scores: RawScores, real_scores: RawScores | None = None) -> Loss:
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

    def generator(self, fake_scores: RawScores, real_scores: RawScores | None = None) -> Loss:
        """-E fake."""
        return -fake_scores.float().mean()


@dataclass(frozen=True)
class LeastSquares(Adversarial):
    """Least squares (Mao et al. 2017, arXiv:1611.04076, equation 9): real images score 1, others 0.

    The discriminator's loss is 0.25 where it scores all images 1/2.
    """

    undecided: ClassVar[float | None] = 0.25

    def discriminator(self, real_scores: RawScores, fake_scores: RawScores) -> Loss:
        """E (real - 1)^2 / 2 + E fake^2 / 2."""
        real = (real_scores.float() - 1).square().mean()
        return (real + fake_scores.float().square().mean()) / 2

    def generator(self, fake_scores: RawScores, real_scores: RawScores | None = None) -> Loss:
        """E (fake - 1)^2 / 2."""
        return (fake_scores.float() - 1).square().mean() / 2


@dataclass(frozen=True)
class Relativistic(Adversarial):
    """Relativistic pairing (Jolicoeur-Martineau 2018, arXiv:1807.00734; Huang et al. 2024, R3GAN).

    The discriminator tells which of a real and a generated image is real, by the difference of
    their scores, and the generator wants it to be wrong: both losses are log 2 = 0.693 where it
    cannot tell. R3GAN (arXiv:2501.05441) makes it converge by ``R1R2``.
    """

    compares: ClassVar[bool] = True
    undecided: ClassVar[float | None] = math.log(2)

    def discriminator(self, real_scores: RawScores, fake_scores: RawScores) -> Loss:
        """E softplus(fake - real)."""
        return F.softplus(fake_scores.float() - real_scores.float()).mean()

    def generator(self, fake_scores: RawScores, real_scores: RawScores | None = None) -> Loss:
        """E softplus(real - fake); a UserError without the scores of real images."""
        if real_scores is None:
            raise UserError(
                "Relativistic compares with real images. Pass the generator real_scores."
            )
        return F.softplus(real_scores.float() - fake_scores.float()).mean()


Discriminator = Callable[[Tensor], Tensor]
"""From images [N, C, H, W] to raw scores [N]."""


@dataclass(frozen=True)
class Penalty(ABC):
    """A term of a discriminator's loss, times ``weight``: of its gradient in its images.

    Weights mean what they mean in the papers, whose images are in [-1, 1]: the gradient is with
    respect to 2 x - 1. A discriminator with BatchNorm has no gradient of one image alone.

    Args:
        weight: of the term.
        every: it is added in each so many-th step, as many times as large (Karras et al. 2020,
            lazy regularisation), and logged where ``trainer.log_every_n_steps`` meets such a step.
    """

    weight: float = 10.0
    every: int = 1

    def __post_init__(self) -> None:
        remedy = "Pass 10.0, or leave model.penalty out for none."
        check_number(f"{type(self).__name__}.weight", self.weight, 0, remedy, above=True)
        check_whole(f"{type(self).__name__}.every", self.every, 1)

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
class R2(Penalty):
    """weight / 2 * E |grad D(x)|^2 over generated images (Mescheder et al. 2018)."""

    def __call__(self, discriminator: Discriminator, real: Images, fake: Images) -> Loss:
        """The penalty on generated images, as R1 has it on real ones."""
        return R1(self.weight)(discriminator, fake, real)


@dataclass(frozen=True)
class R1R2(Penalty):
    """R1 and R2 of one weight, the gamma of Huang et al. 2024 (arXiv:2501.05441)."""

    def __call__(self, discriminator: Discriminator, real: Images, fake: Images) -> Loss:
        """The sum of both."""
        both = R1(self.weight), R2(self.weight)
        return torch.stack([each(discriminator, real, fake) for each in both]).sum()


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
