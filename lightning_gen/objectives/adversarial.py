"""What the two players of a generative adversarial network minimise.

Scores are a discriminator's raw output, high for real images. Losses are means over a batch, in
float32, and have no unit that compares between objectives.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

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
