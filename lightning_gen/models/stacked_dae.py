"""The stacked denoising autoencoder."""

from functools import partial
from typing import Unpack

from torch import nn

from lightning_gen.contracts import ImageShape
from lightning_gen.models.autoencoder import DeterministicAutoencoder
from lightning_gen.models.optimizers import TrainingParts
from lightning_gen.networks import Corruption, Dense, GaussianNoise
from lightning_gen.networks.architecture import check_widths, layer
from lightning_gen.objectives import Bernoulli, Likelihood


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
