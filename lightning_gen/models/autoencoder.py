"""Deterministic autoencoders."""

from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor
from torch.optim import Adam

from lightning_gen.contracts import Batch, Codes, Images, ImageShape
from lightning_gen.models.encoder_decoder import Autoencoder, check_latent_dim
from lightning_gen.models.optimizers import OptimizerFactory, SchedulerFactory
from lightning_gen.networks import Architecture, Conv, Corruption, Pooled
from lightning_gen.objectives import Bernoulli, Likelihood


class ReconstructionTerms(NamedTuple):
    """Mean over a batch, in nats per image."""

    loss: Float[Tensor, ""]


class DeterministicAutoencoder(Autoencoder):
    """The code is the encoder's output; the loss is -log p(x|z)."""

    def encode(self, images: Images) -> Codes:
        """The code [N, D] of each image."""
        return self.encoder(images)  # type: ignore[no-any-return]

    def terms(
        self, batch: Batch, inputs: Images, training_step: int | None = None
    ) -> ReconstructionTerms:
        """-log p(x|z), in nats per image."""
        params = self.decoder(self.encode(inputs))
        return ReconstructionTerms(-self.likelihood.log_prob(params, batch.images).mean())


class AE(DeterministicAutoencoder):
    """Autoencoder (Hinton & Salakhutdinov 2006) with a vector as its code.

    Args:
        image_shape: (channels, height, width); the command line takes it from the data.
        latent_dim: length of a code.
        architecture: makes the encoder and the decoder.
        likelihood: of the images given a code; its negative logarithm is the loss.
        optimizer: builds the optimizer from the parameters.
        lr_scheduler: builds a scheduler from the optimizer, stepped once an epoch.
        corruption: damages the training input; see :mod:`lightning_gen.networks.corruption`.
    """

    def __init__(
        self,
        image_shape: ImageShape,
        latent_dim: int = 20,
        architecture: Architecture = Conv(),  # noqa: B008  (frozen)
        likelihood: Likelihood = Bernoulli(),  # noqa: B008  (copied by the base)
        optimizer: OptimizerFactory = Adam,
        lr_scheduler: SchedulerFactory | None = None,
        corruption: Corruption | None = None,
    ) -> None:
        check_latent_dim(latent_dim)
        super().__init__(
            architecture.encoder(image_shape, latent_dim),
            architecture.decoder(image_shape, latent_dim, likelihood.params_per_channel),
            likelihood,
            optimizer,
            lr_scheduler,
            corruption,
        )


class CAE(DeterministicAutoencoder):
    """Convolutional autoencoder (Masci et al. 2011) with a feature map as its code.

    3x3 convolutions with max pooling between them, transposed convolutions back. On 28x28 images
    the widths (32, 64, 128) give a code of 128 x 7 x 7 and (32, 64, 128, 2) one of 2 x 4 x 4.

    Args:
        image_shape: (channels, height, width); the command line takes it from the data.
        widths: channels of each convolution of the encoder; the last is the depth of the code.
        likelihood: of the images given a code; its negative logarithm is the loss.
        optimizer: builds the optimizer from the parameters.
        lr_scheduler: builds a scheduler from the optimizer, stepped once an epoch.
        corruption: damages the training input; see :mod:`lightning_gen.networks.corruption`.
    """

    def __init__(
        self,
        image_shape: ImageShape,
        widths: tuple[int, ...] = (32, 64, 128),
        likelihood: Likelihood = Bernoulli(),  # noqa: B008  (copied by the base)
        optimizer: OptimizerFactory = Adam,
        lr_scheduler: SchedulerFactory | None = None,
        corruption: Corruption | None = None,
    ) -> None:
        networks = Pooled(widths, image_shape)
        super().__init__(
            networks.encoder(),
            networks.decoder(likelihood.params_per_channel),
            likelihood,
            optimizer,
            lr_scheduler,
            corruption,
        )
