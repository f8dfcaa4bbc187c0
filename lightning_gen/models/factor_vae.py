"""The FactorVAE, whose discriminator estimates the total correlation of the codes."""

from typing import NamedTuple, Unpack

from torch import nn

from lightning_gen.contracts import Batch, Codes, Images, ImageShape
from lightning_gen.errors import check_number
from lightning_gen.models.gan import GAN, CodeGameParts, PlayerTerms, judge
from lightning_gen.models.vae import VariationalAutoencoder
from lightning_gen.networks import LatentDiscriminator
from lightning_gen.objectives import ELBO, DiagonalGaussian, NonSaturating
from lightning_gen.objectives.elbo import penalised
from lightning_gen.objectives.posterior import kl_divergence
from lightning_gen.objectives.total_correlation import permuted
from lightning_gen.quantities import NATS, Quantity


class CodesAndPermuted(NamedTuple):
    """Clean images, their posteriors, and a draw of each."""

    images: Images
    posterior: DiagonalGaussian
    codes: Codes


class FactorVAE(GAN, VariationalAutoencoder):
    """FactorVAE (Kim & Mnih 2018, arXiv:1802.05983, algorithm 2).

    A discriminator D learns to tell codes from codes whose dimensions are shuffled, each on its
    own, within the batch; its raw score, log D / (1 - D), estimates the total correlation, which is
    added to the negative ELBO. Both are updated from the same codes; the paper draws others for D.

    The estimate is as good as D is, so that ``val/loss`` does not compare epochs and the best
    checkpoint is the latest. Where the game is even, ``discriminator_loss`` is 2 log 2 = 1.386.

    Args:
        gamma: weight of the total correlation, at least 0, which is the VAE.
        discriminator: makes the discriminator of codes.
    """

    def __init__(
        self,
        image_shape: ImageShape,
        latent_dim: int = 10,
        gamma: float = 35.0,
        discriminator: LatentDiscriminator = LatentDiscriminator((1000,) * 6, nn.LeakyReLU),  # noqa: B008
        objective: ELBO = ELBO(),  # noqa: B008  (frozen)
        **parts: Unpack[CodeGameParts],
    ) -> None:
        check_number("FactorVAE.gamma, of the total correlation,", gamma, 0, "Set it to 35.")
        bound = ELBO.like(objective)
        super().__init__(image_shape=image_shape, latent_dim=latent_dim, objective=bound, **parts)
        self.gamma = gamma
        self.discriminator = discriminator.network(latent_dim)

    @property
    def quantities(self) -> dict[str, Quantity]:
        """Also the total correlation."""
        return super().quantities | {"total_correlation": Quantity(NATS, weight=self.gamma)}

    def shared(self, batch: Batch, inputs: Images) -> CodesAndPermuted:
        """The posteriors, and a code of each image."""
        posterior = self.posterior(inputs)
        return CodesAndPermuted(batch.images, posterior, posterior.sample())

    def discriminator_terms(self, seen: CodesAndPermuted, training_step: int | None) -> PlayerTerms:
        """The cross-entropy of the discriminator."""
        codes = seen.codes.detach()
        on_codes, on_permuted = self.discriminator(codes), self.discriminator(permuted(codes))
        return judge(NonSaturating(), code=on_codes, permuted=on_permuted)

    def generator_terms(self, seen: CodesAndPermuted, training_step: int | None) -> PlayerTerms:
        """The negative ELBO with the total correlation."""
        log_likelihood = self.log_likelihood(seen.images, seen.codes)
        kl = kl_divergence(seen.posterior, self.prior, seen.codes)
        bound = self.objective.bound(log_likelihood, kl, training_step)
        excess = self.discriminator(seen.codes).float().mean()
        terms = penalised(bound, {"total_correlation": excess}, self.quantities)
        return PlayerTerms(terms["loss"], terms)
