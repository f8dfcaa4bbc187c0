"""The FactorVAE, whose discriminator estimates the total correlation of the codes."""

from functools import partial
from typing import ClassVar, NamedTuple, Unpack

from jaxtyping import Float
from torch import Tensor, nn

from lightning_gen.contracts import Batch, Codes, Images, ImageShape
from lightning_gen.errors import UserError
from lightning_gen.models.latent_game import GameParts, LatentGame, Moves
from lightning_gen.models.vae import VariationalAutoencoder
from lightning_gen.networks import LatentDiscriminator
from lightning_gen.objectives import ELBO, DiagonalGaussian, Objective
from lightning_gen.objectives.elbo import TotalCorrelationTerms
from lightning_gen.objectives.total_correlation import permuted

DISCRIMINATOR = LatentDiscriminator((1000,) * 6, nn.LeakyReLU)


class DiscriminatorTerms(NamedTuple):
    """Means over a batch; the scores are raw, high for codes, 0 where undecided."""

    discriminator_loss: Float[Tensor, ""]
    code_score: Float[Tensor, ""]
    permuted_score: Float[Tensor, ""]

    @property
    def loss(self) -> Tensor:
        """What the discriminator minimises."""
        return self.discriminator_loss


class FactorVAETerms(NamedTuple):
    """Both players' terms, in nats per image: loss = reconstruction + kl + gamma * tc."""

    loss: Float[Tensor, ""]
    reconstruction: Float[Tensor, ""]
    kl: Float[Tensor, ""]
    total_correlation: Float[Tensor, ""]
    discriminator_loss: Float[Tensor, ""]
    code_score: Float[Tensor, ""]
    permuted_score: Float[Tensor, ""]


class FactorVAE(LatentGame, VariationalAutoencoder):
    """FactorVAE (Kim & Mnih 2018, arXiv:1802.05983, algorithm 2).

    A discriminator D learns to tell codes from codes whose dimensions are shuffled, each on its
    own, within the batch; its raw score, log D / (1 - D), estimates the total correlation of the
    codes, which is added to the negative ELBO with the weight gamma. At each batch D is updated
    first, then encoder and decoder, from the same codes; the paper draws a second batch for D.

    The estimate is as good as D is, so that ``val/loss`` does not compare epochs and the best
    checkpoint is the latest. Where the game is even, ``discriminator_loss`` is 2 log 2 = 1.386.

    Args:
        image_shape: (channels, height, width); the command line takes it from the data.
        latent_dim: length of a code.
        gamma: weight of the total correlation, at least 0, which is the VAE.
        discriminator: makes the discriminator of codes.
        objective: its warm-up and free bits.
        parts: architecture, likelihood, corruption; for each player its optimizer, the schedule and
            the clipping of its gradient.
    """

    monitor: ClassVar[None] = None

    def __init__(
        self,
        image_shape: ImageShape,
        latent_dim: int = 10,
        gamma: float = 35.0,
        discriminator: LatentDiscriminator = DISCRIMINATOR,
        objective: Objective = ELBO(),  # noqa: B008  (frozen)
        **parts: Unpack[GameParts],
    ) -> None:
        if not 0 <= gamma < float("inf"):
            raise UserError(
                f"FactorVAE.gamma is the weight of the total correlation, finite and at least 0, "
                f"got {gamma}. Set it to 35."
            )
        super().__init__(
            image_shape=image_shape,
            latent_dim=latent_dim,
            objective=ELBO.like(objective),
            discriminator=discriminator,
            **parts,
        )
        self.gamma = gamma

    def terms(
        self, batch: Batch, inputs: Images, training_step: int | None = None
    ) -> FactorVAETerms:
        """What evaluation reports; training has a loss for each of its two updates."""
        moves = self.moves(batch, inputs, training_step)
        return FactorVAETerms(*moves.autoencoder(), *moves.discriminator())  # type: ignore[misc]

    def moves(self, batch: Batch, inputs: Images, training_step: int | None) -> Moves:
        """The discriminator's cross-entropy, and the ELBO with the total correlation."""
        posterior = self.posterior(inputs)
        codes = posterior.sample()
        return Moves(
            partial(self._discriminator_terms, codes.detach()),
            partial(self._autoencoder_terms, posterior, codes, batch.images, training_step),
        )

    def _autoencoder_terms(
        self,
        posterior: DiagonalGaussian,
        codes: Codes,
        images: Images,
        training_step: int | None,
    ) -> TotalCorrelationTerms:
        log_likelihood, kl = self.log_likelihood(images, codes), posterior.kl_to_standard_normal()
        bound = self.objective.bound(log_likelihood, kl, training_step)
        excess = self.discriminator(codes).float().mean()
        loss = bound.loss + self.gamma * excess
        return TotalCorrelationTerms(loss, bound.reconstruction, bound.kl, excess)

    def _discriminator_terms(self, codes: Codes) -> DiscriminatorTerms:
        on_codes, on_permuted = self.discriminator(codes), self.discriminator(permuted(codes))
        loss = self._adversarial.discriminator(on_codes, on_permuted)
        return DiscriminatorTerms(loss, on_codes.float().mean(), on_permuted.float().mean())
