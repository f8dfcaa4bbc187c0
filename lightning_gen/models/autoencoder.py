"""Deterministic autoencoders."""

from functools import partial
from typing import NamedTuple, Unpack

from jaxtyping import Float
from torch import Tensor, nn

from lightning_gen.contracts import Batch, Images, ImageShape, Terms
from lightning_gen.models.encoder_decoder import Autoencoder, AutoencoderParts, check_latent_dim
from lightning_gen.models.module import Module
from lightning_gen.models.optimizers import TrainingParts
from lightning_gen.networks import Architecture, Conv, Corruption, Dense, GaussianNoise, Pooled
from lightning_gen.networks.architecture import check_widths, layer
from lightning_gen.objectives import Bernoulli, Likelihood


class ReconstructionTerms(NamedTuple):
    """Mean over a batch, in nats per image."""

    loss: Float[Tensor, ""]


class DeterministicAutoencoder(Autoencoder, Module):
    """The code is the encoder's output; the loss is -log p(x|z)."""

    def terms(self, batch: Batch, inputs: Images, training_step: int | None = None) -> Terms:
        """-log p(x|z), in nats per image."""
        return ReconstructionTerms(-self.log_likelihood(batch.images, self.encode(inputs)).mean())


class AE(DeterministicAutoencoder):
    """Autoencoder (Hinton & Salakhutdinov 2006) with a vector as its code.

    Args:
        latent_dim: length of a code.
        architecture: makes the encoder and the decoder.
    """

    def __init__(
        self,
        image_shape: ImageShape,
        latent_dim: int = 20,
        architecture: Architecture = Conv(),  # noqa: B008  (frozen)
        **parts: Unpack[AutoencoderParts],
    ) -> None:
        check_latent_dim(latent_dim)
        encoder = architecture.encoder(image_shape, latent_dim)
        decoder = partial(architecture.decoder, image_shape, latent_dim)
        super().__init__(image_shape, encoder, decoder, **parts)


class CAE(DeterministicAutoencoder):
    """Convolutional autoencoder (Masci et al. 2011) with a feature map as its code.

    3x3 convolutions with max pooling between them, transposed convolutions back. On 28x28 images
    the widths (32, 64, 128) give a code of 128 x 7 x 7 and (32, 64, 128, 2) one of 2 x 4 x 4.

    Args:
        widths: channels of each convolution of the encoder; the last is the depth of the code.
    """

    def __init__(
        self,
        image_shape: ImageShape,
        widths: tuple[int, ...] = (32, 64, 128),
        **parts: Unpack[AutoencoderParts],
    ) -> None:
        networks = Pooled(widths, image_shape)
        super().__init__(image_shape, networks.encoder(), networks.decoder, **parts)


class StackedDAE(DeterministicAutoencoder):
    """Stacked denoising autoencoder (Vincent et al. 2010), all layers trained at once.

    Fully connected; the code is a hidden layer like the others, so the activation follows it too:
    on 28x28 images the widths (100, 30) are 784-100-30-100-784.

    Args:
        widths: units of each layer of the encoder; the last is the length of the code.
        activation: class of the activation after each layer but the decoder's last.
    """

    def __init__(
        self,
        image_shape: ImageShape,
        widths: tuple[int, ...] = (100, 30),
        activation: type[nn.Module] = nn.SELU,
        likelihood: Likelihood = Bernoulli(),  # noqa: B008  (copied)
        corruption: Corruption | None = GaussianNoise(),  # noqa: B008  (frozen)
        **training: Unpack[TrainingParts],
    ) -> None:
        check_widths(self, widths)
        *hidden, latent_dim = widths
        dense = Dense(tuple(hidden), activation)
        encoder = nn.Sequential(dense.encoder(image_shape, latent_dim), layer(activation))
        decoder = partial(dense.decoder, image_shape, latent_dim)
        super().__init__(image_shape, encoder, decoder, likelihood, corruption, **training)
