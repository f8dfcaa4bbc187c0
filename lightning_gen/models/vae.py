"""Variational autoencoders with a Gaussian posterior."""

import math
from dataclasses import replace
from functools import partial
from typing import Unpack

from lightning_gen.contracts import Batch, Codes, Images, ImageShape, Terms
from lightning_gen.errors import UserError, check_number
from lightning_gen.models.encoder_decoder import (
    Autoencoder,
    AutoencoderParts,
    DenoisingParts,
    check_latent_dim,
)
from lightning_gen.models.module import Module, SamplesPrior
from lightning_gen.networks import Architecture, Conv, Residual
from lightning_gen.objectives import (
    DIP,
    ELBO,
    MMD,
    RBF,
    DiagonalGaussian,
    Gaussian,
    ImportanceWeighted,
    Kernel,
    Likelihood,
    TotalCorrelation,
)
from lightning_gen.objectives.posterior import LogWeights, draw_log_weights
from lightning_gen.priors import StandardNormal, VampPrior, VectorPrior
from lightning_gen.quantities import Quantity


class BoundParts(AutoencoderParts, total=False):
    """What a variational autoencoder with networks of its own passes on to its family."""

    objective: ELBO
    prior: VectorPrior


class VAEParts(BoundParts, total=False):
    """What a variational autoencoder passes on to its family."""

    architecture: Architecture


class VampParts(AutoencoderParts, total=False):
    """What a variational autoencoder with a prior of its own passes on to its family."""

    architecture: Architecture
    objective: ELBO


class VariationalAutoencoder(Autoencoder, SamplesPrior, Module):
    """q(z|x) from the encoder, p(x|z) from the decoder, p(z) the prior.

    Args:
        latent_dim: length of a code.
        architecture: makes the encoder and the decoder.
        objective: the bound that is minimised, with warm-up, free bits or capacity of the KL.
        prior: p(z), trained with the model.
    """

    def __init__(
        self,
        image_shape: ImageShape,
        latent_dim: int = 20,
        architecture: Architecture = Conv(),  # noqa: B008  (frozen)
        objective: ELBO = ELBO(),  # noqa: B008  (frozen)
        prior: VectorPrior = StandardNormal(),  # noqa: B008  (copied)
        **parts: Unpack[AutoencoderParts],
    ) -> None:
        check_latent_dim(latent_dim)
        if not isinstance(objective, ELBO):
            raise UserError(
                f"objective is one of lightning_gen.objectives, such as ELBO(), got {objective!r}."
            )
        if not isinstance(prior, VectorPrior):
            raise UserError(
                f"prior is one of lightning_gen.priors, such as VampPrior(), got {prior!r:.60}."
            )
        encoder = architecture.encoder(image_shape, 2 * latent_dim)
        decoder = partial(architecture.decoder, image_shape, latent_dim)
        super().__init__(image_shape, encoder, decoder, **parts)
        self.latent_dim = latent_dim
        self.objective = objective
        self.prior = prior.of(self)

    def setup(self, stage: str) -> None:
        """Let a prior begin at the data."""
        super().setup(stage)
        if stage == "fit":
            self.prior.start(self.trainer.datamodule)  # type: ignore[attr-defined]

    def posterior(self, images: Images) -> DiagonalGaussian:
        """q(z|x) of each image."""
        return DiagonalGaussian.from_features(self.encoder(images))

    def encode(self, images: Images) -> Codes:
        """The posterior mean [N, D] of each image."""
        return self.posterior(images).mean

    def log_weights(self, images: Images, num_samples: int) -> LogWeights:
        """Log p(x, z) / q(z|x) of ``num_samples`` posterior draws for each image, in nats."""
        log_likelihood = partial(self.log_likelihood, images)
        fit, ratio = draw_log_weights(
            log_likelihood, self.posterior(images), self.prior, num_samples
        )
        return fit + ratio

    @property
    def quantities(self) -> dict[str, Quantity]:
        """Those of the objective."""
        return super().quantities | self.objective.quantities

    def terms(self, batch: Batch, inputs: Images, training_step: int | None = None) -> Terms:
        """The objective's loss and its parts."""
        log_likelihood = partial(self.log_likelihood, batch.images)
        return self.objective(log_likelihood, self.posterior(inputs), self.prior, training_step)


class VAE(VariationalAutoencoder):
    """Variational autoencoder (Kingma & Welling 2014, arXiv:1312.6114)."""


class BetaVAE(VariationalAutoencoder):
    """beta-VAE (Higgins et al. 2017).

    Args:
        beta: weight of the KL, both in nats per image; 1 is the VAE.
    """

    def __init__(
        self,
        image_shape: ImageShape,
        latent_dim: int = 10,
        beta: float = 4.0,
        **parts: Unpack[VAEParts],
    ) -> None:
        super().__init__(image_shape, latent_dim, **parts)
        self.objective = replace(self.objective, beta=beta)


class ResVAE(VariationalAutoencoder):
    """VAE with residual networks that halve the image down to about 4x4.

    The widths start at 32, double at each halving and stop at 512: five stages for 128x128, four
    for 64x64, two for 28x28. The default likelihood is squared error, sigma = 1.
    """

    def __init__(
        self,
        image_shape: ImageShape,
        latent_dim: int = 128,
        likelihood: Likelihood = Gaussian(),  # noqa: B008  (copied)
        objective: ELBO = ELBO(),  # noqa: B008  (frozen)
        **parts: Unpack[DenoisingParts],
    ) -> None:
        stages = max(1, (min(image_shape[1:]) // 4).bit_length() - 1)
        architecture = Residual(tuple(min(32 * 2**stage, 512) for stage in range(stages)))
        super().__init__(
            image_shape, latent_dim, architecture, objective, likelihood=likelihood, **parts
        )


class IWAE(VariationalAutoencoder):
    """Importance-weighted autoencoder (Burda, Grosse & Salakhutdinov 2016, arXiv:1509.00519).

    Trains the bound L_k on log p(x), which is the tighter the more draws it takes; L_1 is the VAE.

    Args:
        num_samples: k, posterior draws an image; time and memory of the decoder grow with it.
        num_bounds: how many bounds, each of k draws, are averaged (MIWAE, Rainforth et al. 2018).
        elbo_share: what part of the loss the ELBO has (CIWAE).
        encoder_only: both averages are for the encoder alone (PIWAE).
    """

    def __init__(
        self,
        image_shape: ImageShape,
        latent_dim: int = 20,
        num_samples: int = 5,
        num_bounds: int = 1,
        elbo_share: float = 0.0,
        encoder_only: bool = False,
        **parts: Unpack[VAEParts],
    ) -> None:
        super().__init__(image_shape, latent_dim, **parts)
        self.objective = ImportanceWeighted.like(
            self.objective,
            num_samples=num_samples,
            num_bounds=num_bounds,
            elbo_share=elbo_share,
            encoder_only=encoder_only,
        )


class BetaTCVAE(VariationalAutoencoder):
    """beta-TCVAE (Chen, Li, Grosse & Duvenaud 2018, arXiv:1802.04942), with alpha = gamma = 1.

    The KL holds the mutual information I(x; z), the total correlation of the codes and the KL of
    each dimension; the total correlation is weighted by beta and the rest by 1. Its estimate, and
    with it ``val/loss`` and ``test/loss``, depends on the batch size.

    Args:
        beta: weight of the total correlation, at least 1, which is the VAE.
    """

    def __init__(
        self,
        image_shape: ImageShape,
        latent_dim: int = 10,
        beta: float = 6.0,
        **parts: Unpack[VAEParts],
    ) -> None:
        remedy = "Set it to 6, or use BetaVAE for a smaller weight of the whole KL."
        check_number("BetaTCVAE.beta, the weight of the total correlation,", beta, 1, remedy)
        super().__init__(image_shape, latent_dim, **parts)
        self.objective = TotalCorrelation.like(self.objective, weight=beta - 1)


class DIPVAE(VariationalAutoencoder):
    """DIP-VAE I and II (Kumar, Sattigeri & Balakrishnan 2018, arXiv:1711.00848).

    The covariance of the posterior means (I), or of the codes (II), is drawn to the identity.

    Args:
        off_diagonal: weight of the squared covariances of different dimensions.
        diagonal: weight of the squared distances of the variances from 1; the paper takes ten times
            the other one for I, and the same for II.
        of_codes: DIP-VAE-II.
    """

    def __init__(
        self,
        image_shape: ImageShape,
        latent_dim: int = 10,
        off_diagonal: float = 10.0,
        diagonal: float = 100.0,
        of_codes: bool = False,
        **parts: Unpack[VAEParts],
    ) -> None:
        super().__init__(image_shape, latent_dim, **parts)
        self.objective = DIP.like(
            self.objective, off_diagonal=off_diagonal, diagonal=diagonal, of_codes=of_codes
        )


class VampVAE(VariationalAutoencoder):
    """VAE whose prior is a mixture of posteriors (Tomczak & Welling 2018, arXiv:1705.07120)."""

    def __init__(
        self,
        image_shape: ImageShape,
        latent_dim: int = 40,
        prior: VampPrior = VampPrior(),  # noqa: B008  (copied)
        **parts: Unpack[VampParts],
    ) -> None:
        if not isinstance(prior, VampPrior):
            raise UserError(
                f"the prior of VampVAE is a VampPrior, got {prior!r:.60}. Choose VAE for others."
            )
        super().__init__(image_shape, latent_dim, prior=prior, **parts)


class InfoVAE(VariationalAutoencoder):
    """InfoVAE (Zhao, Song & Ermon 2019, arXiv:1706.02262) with the MMD as its divergence.

    The loss is -log p(x|z) + (1 - alpha) KL(q(z|x) || p(z)) + (alpha + lambda - 1) MMD(q(z), p(z))
    in nats per image. alpha = 0, lambda = 1 is the VAE, alpha = 1 drops the KL; a larger alpha lets
    a code tell more of its image, and a larger lambda holds the codes of all images together to the
    prior. The MMD is of one posterior sample an image, within a batch, on each device.

    Args:
        alpha: how much of the KL is taken away, at most 1.
        lambda_: nats per image for each unit of the MMD, before 1 - alpha is taken off; 1000 on
            batches of 100 can hold the codes at the prior for good, where they tell nothing.
        kernel: of the MMD.
    """

    def __init__(
        self,
        image_shape: ImageShape,
        latent_dim: int = 10,
        alpha: float = 0.5,
        lambda_: float = 100.0,
        kernel: Kernel = RBF(),  # noqa: B008  (frozen)
        **parts: Unpack[VAEParts],
    ) -> None:
        beta, weight = 1 - alpha, alpha + lambda_ - 1
        if not (0 <= beta < math.inf and 0 <= weight < math.inf):
            raise UserError(
                "1 - alpha and alpha + lambda_ - 1, the weights of KL and MMD, are finite and at "
                f"least 0, got alpha {alpha} and lambda_ {lambda_}. Set model.alpha between 0 (the "
                "VAE's KL) and 1 (no KL), and model.lambda_ to 1 or more."
            )
        super().__init__(image_shape, latent_dim, **parts)
        self.objective = MMD.like(self.objective, kernel=kernel, beta=beta, weight=weight)
