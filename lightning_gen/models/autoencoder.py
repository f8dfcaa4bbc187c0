"""Deterministic autoencoders."""

from functools import partial
from typing import Unpack

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lightning_gen.contracts import Batch, Codes, Images, ImageShape, Terms
from lightning_gen.errors import check_number
from lightning_gen.models.encoder_decoder import (
    Autoencoder,
    AutoencoderParts,
    check_latent_dim,
)
from lightning_gen.models.module import Module
from lightning_gen.models.optimizers import TrainingParts
from lightning_gen.networks import Architecture, Conv, Corruption, Dense, GaussianNoise, Pooled
from lightning_gen.networks.architecture import check_widths, layer
from lightning_gen.objectives import Bernoulli, Likelihood
from lightning_gen.objectives.elbo import penalised
from lightning_gen.quantities import Quantity

NORMS = ("code_norm", "weight_norm", "gradient_norm")
"""What an RAE penalises."""


class DeterministicAutoencoder(Autoencoder, Module):
    """The code is the encoder's output; the loss is -log p(x|z)."""

    def terms(self, batch: Batch, inputs: Images, training_step: int | None = None) -> Terms:
        """-log p(x|z), in nats per image."""
        return {"loss": -self.log_likelihood(batch.images, self.encode(inputs)).mean()}


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


class RAE(DeterministicAutoencoder):
    """Regularised autoencoder (Ghosh et al. 2020, arXiv:1903.12436).

    The loss is -log p(x|z) + code ||z||^2 / 2, and in training also a penalty on the decoder, which
    keeps it smooth between codes: its weights' ||theta||^2 / 2 (RAE-L2), or the squared Frobenius
    norm of its Jacobian at the code (RAE-GP), by one random projection an image. It samples from a
    prior that is fitted to its codes.

    Args:
        latent_dim: length of a code.
        code: nats per image for each unit of ||z||^2 / 2.
        weights: of ||theta||^2 / 2 of the decoder.
        gradient: of the Jacobian's squared norm, of images in [0, 1].
        architecture: makes the encoder and the decoder.
    """

    def __init__(
        self,
        image_shape: ImageShape,
        latent_dim: int = 16,
        code: float = 0.1,
        weights: float = 0.0,
        gradient: float = 0.1,
        architecture: Architecture = Conv(),  # noqa: B008  (frozen)
        **parts: Unpack[AutoencoderParts],
    ) -> None:
        for name, value in (("code", code), ("weights", weights), ("gradient", gradient)):
            check_number(f"RAE.{name}", value, 0)
        check_latent_dim(latent_dim)
        encoder = architecture.encoder(image_shape, latent_dim)
        decoder = partial(architecture.decoder, image_shape, latent_dim)
        super().__init__(image_shape, encoder, decoder, **parts)
        self.code, self.weights, self.gradient = code, weights, gradient

    @property
    def quantities(self) -> dict[str, Quantity]:
        """Also the norms, with their weights."""
        weights = zip(NORMS, (self.code, self.weights, self.gradient), strict=True)
        return super().quantities | {name: Quantity(weight=value) for name, value in weights}

    def terms(self, batch: Batch, inputs: Images, training_step: int | None = None) -> Terms:
        """The loss and its parts; in evaluation without the penalty on the decoder."""
        codes = self.encode(inputs)
        reconstruction = -self.log_likelihood(batch.images, codes).mean()
        code_norm = 0.5 * codes.float().square().sum(dim=1).mean()
        weight_norm = gradient_norm = torch.zeros_like(code_norm)
        if training_step is not None and self.weights:
            squares = [p.square().sum() for p in self.decoder.parameters()]
            weight_norm = 0.5 * torch.stack(squares).sum()
        if training_step is not None and self.gradient:
            gradient_norm = self._gradient_norm(codes)
        norms = dict(zip(NORMS, (code_norm, weight_norm, gradient_norm), strict=True))
        bound = {"loss": reconstruction, "reconstruction": reconstruction}
        return penalised(bound, norms, self.quantities)

    def _gradient_norm(self, codes: Codes) -> Float[Tensor, ""]:
        """The mean over images of ||dx/dz||_F^2 = E ||v^T dx/dz||^2, v of N(0, I)."""
        images = self.decode(codes)
        projected = (images * torch.randn_like(images)).sum()
        [gradients] = torch.autograd.grad(projected, codes, create_graph=True)
        return gradients.float().square().sum(dim=1).mean()


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
