"""The FactorVAE, whose discriminator estimates the total correlation of the codes."""

from typing import ClassVar, NamedTuple, Unpack

from jaxtyping import Float
from torch import Tensor, nn

from lightning_gen.contracts import Batch, Codes, Images, ImageShape
from lightning_gen.errors import UserError
from lightning_gen.models.gan import GAN, CodeGameParts
from lightning_gen.models.vae import VariationalAutoencoder
from lightning_gen.networks import LatentDiscriminator
from lightning_gen.objectives import ELBO, DiagonalGaussian, NonSaturating, Objective
from lightning_gen.objectives.elbo import TotalCorrelationTerms
from lightning_gen.objectives.total_correlation import permuted


class Seen(NamedTuple):
    """Clean images, their posteriors, and a draw of each."""

    images: Images
    posterior: DiagonalGaussian
    codes: Codes


class DiscriminatorTerms(NamedTuple):
    """Means over a batch; the scores are raw, high for codes, 0 where undecided."""

    discriminator_loss: Float[Tensor, ""]
    code_score: Float[Tensor, ""]
    permuted_score: Float[Tensor, ""]

    @property
    def loss(self) -> Tensor:
        """What the discriminator minimises."""
        return self.discriminator_loss


class FactorVAE(GAN, VariationalAutoencoder):
    """FactorVAE (Kim & Mnih 2018, arXiv:1802.05983, algorithm 2).

    A discriminator D learns to tell codes from codes whose dimensions are shuffled, each on its
    own, within the batch; its raw score, log D / (1 - D), estimates the total correlation of the
    codes, which is added to the negative ELBO with the weight gamma. Both are updated from the same
    codes; the paper draws a second batch for D.

    The estimate is as good as D is, so that ``val/loss`` does not compare epochs and the best
    checkpoint is the latest. Where the game is even, ``discriminator_loss`` is 2 log 2 = 1.386.

    Args:
        gamma: weight of the total correlation, at least 0, which is the VAE.
        discriminator: makes the discriminator of codes.
    """

    monitor: ClassVar[None] = None

    def __init__(
        self,
        image_shape: ImageShape,
        latent_dim: int = 10,
        gamma: float = 35.0,
        discriminator: LatentDiscriminator = LatentDiscriminator((1000,) * 6, nn.LeakyReLU),  # noqa: B008
        objective: Objective = ELBO(),  # noqa: B008  (frozen)
        **parts: Unpack[CodeGameParts],
    ) -> None:
        if not 0 <= gamma < float("inf"):
            raise UserError(
                f"FactorVAE.gamma is the weight of the total correlation, finite and at least 0, "
                f"got {gamma}. Set it to 35."
            )
        bound = ELBO.like(objective)
        super().__init__(image_shape=image_shape, latent_dim=latent_dim, objective=bound, **parts)
        self.gamma = gamma
        self.discriminator = discriminator.network(latent_dim)

    def shared(self, batch: Batch, inputs: Images) -> Seen:
        """The posteriors, and a code of each image."""
        posterior = self.posterior(inputs)
        return Seen(batch.images, posterior, posterior.sample())

    def discriminator_terms(self, seen: Seen, training_step: int | None) -> DiscriminatorTerms:
        """The cross-entropy of the discriminator."""
        codes = seen.codes.detach()
        on_codes, on_permuted = self.discriminator(codes), self.discriminator(permuted(codes))
        loss = NonSaturating().discriminator(on_codes, on_permuted)
        return DiscriminatorTerms(loss, on_codes.float().mean(), on_permuted.float().mean())

    def generator_terms(self, seen: Seen, training_step: int | None) -> TotalCorrelationTerms:
        """The negative ELBO with the total correlation."""
        log_likelihood = self.log_likelihood(seen.images, seen.codes)
        kl = seen.posterior.kl_to_standard_normal()
        bound = self.objective.bound(log_likelihood, kl, training_step)
        excess = self.discriminator(seen.codes).float().mean()
        loss = bound.loss + self.gamma * excess
        return TotalCorrelationTerms(loss, bound.reconstruction, bound.kl, excess)
