"""Autoencoders whose codes a discriminator tells from draws of the prior."""

from typing import NamedTuple, Unpack

from lightning_gen.contracts import Batch, Codes, Images, ImageShape
from lightning_gen.models.encoder_decoder import DenoisingParts
from lightning_gen.models.gan import GAN, CodeGameParts, GANParts, PlayerTerms, judge
from lightning_gen.models.wae import WassersteinAutoencoder
from lightning_gen.networks import Architecture, LatentDiscriminator
from lightning_gen.objectives import (
    Bernoulli,
    InverseMultiquadratics,
    Likelihood,
    NonSaturating,
)
from lightning_gen.objectives.mmd import maximum_mean_discrepancy


class CertainGameParts(DenoisingParts, GANParts, total=False):
    """What a game on codes with a likelihood of its own passes on."""

    architecture: Architecture


class CodesAndPrior(NamedTuple):
    """Clean images, their codes, and as many draws of the prior."""

    images: Images
    codes: Codes
    prior: Codes


class WAEGAN(GAN, WassersteinAutoencoder):
    """WAE-GAN (Tolstikhin, Bousquet, Gelly & Schoelkopf 2018, arXiv:1711.01558, algorithm 1).

    A discriminator D learns to tell draws of the prior from codes; encoder and decoder minimise
    -log p(x|z) - weight * log D(z), from the same codes.

    -log D(z) says how good D is as much as how far the codes are from the prior, so that it does
    not compare epochs. ``val/loss`` and ``test/loss`` have the MMD in its place, as the loss of a
    :class:`~lightning_gen.models.WAE` of the same weight. Where the game is even,
    ``discriminator_loss`` is 2 log 2 = 1.386 and both scores are 0.

    Args:
        discriminator: makes the discriminator of codes.
        weight: of -log D(z), which is in nats per image; at least 0.
    """

    monitor = "val/loss"

    def __init__(
        self,
        image_shape: ImageShape,
        latent_dim: int = 8,
        discriminator: LatentDiscriminator = LatentDiscriminator(),  # noqa: B008  (frozen)
        weight: float = 10.0,
        **parts: Unpack[CodeGameParts],
    ) -> None:
        super().__init__(image_shape=image_shape, latent_dim=latent_dim, weight=weight, **parts)
        self.discriminator = discriminator.network(latent_dim)

    def shared(self, batch: Batch, inputs: Images) -> CodesAndPrior:
        """The codes, and draws of the prior."""
        return CodesAndPrior(batch.images, self.encode(inputs), self.sample_codes(len(inputs)))

    def discriminator_terms(self, seen: CodesAndPrior, training_step: int | None) -> PlayerTerms:
        """The cross-entropy of the discriminator."""
        on_prior, on_codes = self.discriminator(seen.prior), self.discriminator(seen.codes.detach())
        return judge(NonSaturating(), prior=on_prior, code=on_codes)

    def generator_terms(self, seen: CodesAndPrior, training_step: int | None) -> PlayerTerms:
        """The reconstruction with the penalty, in nats per image; in evaluation with the MMD."""
        reconstruction = -self.log_likelihood(seen.images, seen.codes).mean()
        adversarial = NonSaturating().generator(self.discriminator(seen.codes))
        values = {"reconstruction": reconstruction, "adversarial": adversarial}
        penalty = adversarial
        if training_step is None:
            penalty = maximum_mean_discrepancy(seen.codes, seen.prior, InverseMultiquadratics())
            values["mmd"] = penalty
        loss = reconstruction + self.weight * penalty
        return PlayerTerms(loss, {"loss": loss} | values)


class AAE(GAN, WassersteinAutoencoder):
    """Adversarial autoencoder (Makhzani et al. 2016, arXiv:1511.05644), with a certain encoder.

    The game of :class:`WAEGAN`, which has squared errors as its cost, on the cross-entropy.

    Args:
        discriminator: makes the discriminator of codes; the paper's has two layers of 1000 units.
        likelihood: of the images given a code.
        weight: of -log D(z), which is in nats per image; at least 0.
    """

    monitor = "val/loss"
    shared = WAEGAN.shared
    discriminator_terms = WAEGAN.discriminator_terms
    generator_terms = WAEGAN.generator_terms

    def __init__(
        self,
        image_shape: ImageShape,
        latent_dim: int = 8,
        discriminator: LatentDiscriminator = LatentDiscriminator((1000, 1000)),  # noqa: B008
        likelihood: Likelihood = Bernoulli(),  # noqa: B008  (copied)
        weight: float = 10.0,
        **parts: Unpack[CertainGameParts],
    ) -> None:
        super().__init__(
            image_shape=image_shape,
            latent_dim=latent_dim,
            weight=weight,
            likelihood=likelihood,
            **parts,
        )
        self.discriminator = discriminator.network(latent_dim)
