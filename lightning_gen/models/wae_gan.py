"""The Wasserstein autoencoder whose penalty is a discriminator of codes."""

from functools import partial
from typing import NamedTuple, Unpack

from jaxtyping import Float
from torch import Tensor

from lightning_gen.contracts import Batch, Codes, Images, ImageShape
from lightning_gen.models.latent_game import GameParts, LatentGame, Moves
from lightning_gen.models.wae import WassersteinAutoencoder
from lightning_gen.networks import LatentDiscriminator
from lightning_gen.objectives import InverseMultiquadratics
from lightning_gen.objectives.mmd import maximum_mean_discrepancy


class AutoencoderTerms(NamedTuple):
    """What encoder and decoder minimise: loss = reconstruction + weight * adversarial, in nats."""

    loss: Float[Tensor, ""]
    reconstruction: Float[Tensor, ""]
    adversarial: Float[Tensor, ""]


class DiscriminatorTerms(NamedTuple):
    """Means over a batch; the scores are raw, high for draws of the prior, 0 where undecided."""

    discriminator_loss: Float[Tensor, ""]
    prior_score: Float[Tensor, ""]
    code_score: Float[Tensor, ""]

    @property
    def loss(self) -> Tensor:
        """What the discriminator minimises."""
        return self.discriminator_loss


class EvaluationTerms(NamedTuple):
    """Both players' terms, but loss = reconstruction + weight * mmd."""

    loss: Float[Tensor, ""]
    reconstruction: Float[Tensor, ""]
    mmd: Float[Tensor, ""]
    adversarial: Float[Tensor, ""]
    discriminator_loss: Float[Tensor, ""]
    prior_score: Float[Tensor, ""]
    code_score: Float[Tensor, ""]


class WAEGAN(LatentGame, WassersteinAutoencoder):
    """WAE-GAN (Tolstikhin, Bousquet, Gelly & Schoelkopf 2018, arXiv:1711.01558, algorithm 1).

    A discriminator D learns to tell draws of the prior from codes; encoder and decoder minimise
    -log p(x|z) - weight * log D(z). At each batch the discriminator is updated first, then encoder
    and decoder, from the same codes.

    -log D(z) says how good the discriminator is as much as how far the codes are from the prior, so
    that it does not compare epochs. ``val/loss`` and ``test/loss``, by which the best checkpoint is
    chosen, have in its place a yardstick that does not move: the MMD with the paper's kernel, as in
    :class:`~lightning_gen.models.WAE`, and so compare with a ``WAE`` of the same weight. Where the
    game is even, ``discriminator_loss`` is 2 log 2 = 1.386 and both scores are 0.

    Args:
        image_shape: (channels, height, width); the command line takes it from the data.
        latent_dim: length of a code; see :class:`~lightning_gen.models.WAE`.
        discriminator: makes the discriminator of codes.
        weight: of -log D(z), which is in nats per image; at least 0.
        parts: architecture, likelihood, corruption; for each player its optimizer, the schedule and
            the clipping of its gradient.
    """

    def __init__(
        self,
        image_shape: ImageShape,
        latent_dim: int = 8,
        discriminator: LatentDiscriminator = LatentDiscriminator(),  # noqa: B008  (frozen)
        weight: float = 10.0,
        **parts: Unpack[GameParts],
    ) -> None:
        super().__init__(
            image_shape=image_shape,
            latent_dim=latent_dim,
            weight=weight,
            discriminator=discriminator,
            **parts,
        )
        self._kernel = InverseMultiquadratics()

    def terms(
        self, batch: Batch, inputs: Images, training_step: int | None = None
    ) -> EvaluationTerms:
        """What evaluation reports; training has a loss for each of its two updates."""
        codes, prior = self.encode(inputs), self.sample_codes(len(inputs))
        mmd = maximum_mean_discrepancy(codes, prior, self._kernel)
        _, reconstruction, adversarial = self._autoencoder_terms(codes, batch.images)
        loss = reconstruction + self.weight * mmd
        judged = self._discriminator_terms(codes, prior)
        return EvaluationTerms(loss, reconstruction, mmd, adversarial, *judged)

    def moves(self, batch: Batch, inputs: Images, training_step: int | None) -> Moves:
        """The discriminator's cross-entropy, and the reconstruction with the penalty."""
        codes = self.encode(inputs)
        prior = self.sample_codes(len(codes))
        return Moves(
            partial(self._discriminator_terms, codes.detach(), prior),
            partial(self._autoencoder_terms, codes, batch.images),
        )

    def _autoencoder_terms(self, codes: Codes, images: Images) -> AutoencoderTerms:
        reconstruction = self._reconstruction(codes, images)
        adversarial = self._adversarial.generator(self.discriminator(codes))
        loss = reconstruction + self.weight * adversarial
        return AutoencoderTerms(loss, reconstruction, adversarial)

    def _discriminator_terms(self, codes: Codes, prior: Codes) -> DiscriminatorTerms:
        on_prior, on_codes = self.discriminator(prior), self.discriminator(codes)
        loss = self._adversarial.discriminator(on_prior, on_codes)
        return DiscriminatorTerms(loss, on_prior.float().mean(), on_codes.float().mean())
