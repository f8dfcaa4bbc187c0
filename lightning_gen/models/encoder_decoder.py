"""What every autoencoder is made of: networks, likelihood, the damage to its training images."""

import math
from collections.abc import Callable
from copy import deepcopy
from functools import partial
from typing import ClassVar, Unpack

from jaxtyping import Float
from lightning.pytorch import LightningModule
from torch import Tensor, nn

from lightning_gen.contracts import Codes, Images, ImageShape
from lightning_gen.errors import UserError, check_number
from lightning_gen.hyperparameters import KeepsArguments
from lightning_gen.models.optimizers import TrainingParts
from lightning_gen.networks import Architecture, Corruption
from lightning_gen.networks.mean_start import start_at_mean
from lightning_gen.objectives import Bernoulli, Likelihood
from lightning_gen.quantities import NATS, Quantity


class DenoisingParts(TrainingParts, total=False):
    """What an autoencoder with a likelihood of its own passes on to :class:`Autoencoder`."""

    corruption: Corruption | None


class AutoencoderParts(DenoisingParts, total=False):
    """What an autoencoder with networks of its own passes on to :class:`Autoencoder`."""

    likelihood: Likelihood


class Parts(AutoencoderParts, total=False):
    """What an autoencoder whose codes are vectors passes on to its family."""

    architecture: Architecture


class Autoencoder(KeepsArguments, LightningModule):
    """Images -> encoder -> code -> decoder -> likelihood -> images.

    A family derives from this and, for the step, from :class:`~lightning_gen.models.module.Module`.

    Args:
        image_shape: (channels, height, width); the command line takes it from the data.
        encoder: from images [N, C, H, W] to features [N, ...].
        decoder: given P, makes the network from codes to raw parameters [N, P * C, H, W].
        likelihood: of the images given a code; its negative logarithm is the reconstruction's loss.
        corruption: damages the training input; the loss is against the clean image.
        training: the optimizer and the schedule.
    """

    corrupt: Corruption
    logs: ClassVar[dict[str, Quantity]] = {
        "reconstruction": Quantity(NATS, "lower", "likelihood", weight=1.0),
        "kl": Quantity(NATS, weight=1.0),
        "bits_per_dimension": Quantity("bits per dimension", "lower", "likelihood"),
    }

    def __init__(
        self,
        image_shape: ImageShape,
        encoder: nn.Module,
        decoder: Callable[[int], nn.Module],
        likelihood: Likelihood = Bernoulli(),  # noqa: B008  (copied)
        corruption: Corruption | None = None,
        **training: Unpack[TrainingParts],
    ) -> None:
        super().__init__(**training)
        self.image_shape = image_shape
        self.encoder = encoder
        encoder.register_forward_pre_hook(partial(_check_images, image_shape))
        self.decoder = decoder(likelihood.params_per_channel)
        self.likelihood = deepcopy(likelihood)
        if corruption is not None:
            self.corrupt = corruption

    def setup(self, stage: str) -> None:
        """Set the bias of a decoder that starts at the mean image."""
        super().setup(stage)
        if stage == "fit":
            data = self.trainer.datamodule  # type: ignore[attr-defined]
            start_at_mean(self.decoder, data, self.likelihood.params)

    @property
    def observation_model(self) -> Likelihood:
        """p(x|z): the ``likelihood``."""
        return self.likelihood

    def forward(self, images: Images) -> Images:
        """The reconstruction of each image."""
        return self.reconstruct(images)

    def encode(self, images: Images) -> Codes:
        """The code [N, D] of each image."""
        return self.encoder(images)  # type: ignore[no-any-return]

    def decode(self, codes: Codes) -> Images:
        """Images [N, C, H, W] of codes [N, D]."""
        return self.likelihood.image(self.decoder(codes))

    def reconstruct(self, images: Images) -> Images:
        """Each image decoded from its own code."""
        return self.decode(self.encode(images))

    def log_likelihood(self, images: Images, codes: Float[Tensor, "m ..."]) -> Float[Tensor, " m"]:
        """Log p(x|z) of codes [k * N, ...], k for each of N images, in nats."""
        repeated = images.repeat(len(codes) // len(images), 1, 1, 1)
        return self.likelihood.log_prob(self.decoder(codes), repeated)

    def logged(self, terms: dict[str, Tensor]) -> dict[str, Tensor]:
        """The terms; and the negative ELBO in bits per dimension, where values are discrete."""
        if not (self.likelihood.discrete and {"reconstruction", "kl"} <= terms.keys()):
            return terms
        nats = terms["reconstruction"] + terms["kl"]
        return terms | {"bits_per_dimension": nats / (math.log(2) * math.prod(self.image_shape))}

    def _augmented(self, images: Images) -> Images:
        return self.corrupt(images) if hasattr(self, "corrupt") else images


def _check_images(image_shape: ImageShape, encoder: nn.Module, inputs: tuple[Tensor, ...]) -> None:
    """Raise a UserError unless the first input is a batch of images of the model's shape."""
    images = inputs[0]
    if images.shape[1:] != image_shape or not images.is_floating_point():
        shape = ", ".join(map(str, image_shape))
        raise UserError(
            f"the model takes float images in [0, 1] of shape [N, {shape}], got {images.dtype} "
            f"{[*images.shape]}. Resize them, and divide uint8 by 255."
        )


def check_latent_dim(latent_dim: int) -> None:
    """Raise a UserError unless there is at least one latent dimension."""
    remedy = "Set model.latent_dim to 2 for a picture of the plane, 10 to 50 for quality."
    check_number("latent_dim", latent_dim, 1, remedy)
