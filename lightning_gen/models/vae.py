"""Variational autoencoders with a Gaussian posterior and a standard normal prior."""

from dataclasses import replace
from functools import partial
from typing import Unpack

from lightning_gen.contracts import Batch, Codes, Images, ImageShape, Terms
from lightning_gen.errors import UserError
from lightning_gen.models.encoder_decoder import (
    Autoencoder,
    AutoencoderParts,
    DenoisingParts,
    check_latent_dim,
)
from lightning_gen.models.module import Module
from lightning_gen.models.normal_prior import NormalPrior
from lightning_gen.networks import Architecture, Conv, Residual
from lightning_gen.objectives import ELBO, DiagonalGaussian, Gaussian, Likelihood
from lightning_gen.objectives.importance import LogWeights, draw_log_weights
from lightning_gen.quantities import Quantity


class BoundParts(AutoencoderParts, total=False):
    """What a variational autoencoder with networks of its own passes on to its family."""

    objective: ELBO


class VAEParts(BoundParts, total=False):
    """What a variational autoencoder passes on to its family."""

    architecture: Architecture


class VariationalAutoencoder(Autoencoder, NormalPrior, Module):
    """q(z|x) from the encoder, p(x|z) from the decoder, p(z) = N(0, I).

    Args:
        latent_dim: length of a code.
        architecture: makes the encoder and the decoder.
        objective: the bound that is minimised, with warm-up, free bits or capacity of the KL.
    """

    def __init__(
        self,
        image_shape: ImageShape,
        latent_dim: int = 20,
        architecture: Architecture = Conv(),  # noqa: B008  (frozen)
        objective: ELBO = ELBO(),  # noqa: B008  (frozen)
        **parts: Unpack[AutoencoderParts],
    ) -> None:
        check_latent_dim(latent_dim)
        if not isinstance(objective, ELBO):
            raise UserError(
                f"objective is one of lightning_gen.objectives, such as ELBO(), got {objective!r}."
            )
        encoder = architecture.encoder(image_shape, 2 * latent_dim)
        decoder = partial(architecture.decoder, image_shape, latent_dim)
        super().__init__(image_shape, encoder, decoder, **parts)
        self.latent_dim = latent_dim
        self.objective = objective

    def posterior(self, images: Images) -> DiagonalGaussian:
        """q(z|x) of each image."""
        return DiagonalGaussian.from_features(self.encoder(images))

    def encode(self, images: Images) -> Codes:
        """The posterior mean [N, D] of each image."""
        return self.posterior(images).mean

    def log_weights(self, images: Images, num_samples: int) -> LogWeights:
        """Log p(x, z) / q(z|x) of ``num_samples`` posterior draws for each image, in nats."""
        log_likelihood = partial(self.log_likelihood, images)
        fit, ratio = draw_log_weights(log_likelihood, self.posterior(images), num_samples)
        return fit + ratio

    @property
    def quantities(self) -> dict[str, Quantity]:
        """Those of the objective."""
        return super().quantities | self.objective.quantities

    def terms(self, batch: Batch, inputs: Images, training_step: int | None = None) -> Terms:
        """The objective's loss and its parts."""
        log_likelihood = partial(self.log_likelihood, batch.images)
        return self.objective(log_likelihood, self.posterior(inputs), training_step)


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
