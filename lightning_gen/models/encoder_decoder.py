"""What every encoder-decoder model shares: decoding, and the damage to its training images."""

from abc import ABC
from copy import deepcopy
from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor, nn

from lightning_gen.contracts import Codes, Images
from lightning_gen.errors import UserError
from lightning_gen.models.base import LossModel
from lightning_gen.models.optimizers import OptimizerFactory, SchedulerFactory
from lightning_gen.networks import Corruption
from lightning_gen.networks.mean_start import MeanStart
from lightning_gen.objectives import Likelihood


@runtime_checkable
class HasMeanImage(Protocol):
    """A datamodule that knows the mean of its training images."""

    def mean_image(self) -> Float[Tensor, "c h w"]:
        """It, in [0, 1]."""


class Autoencoder(LossModel, ABC):
    """Images -> encoder -> code -> decoder -> likelihood -> images.

    Args:
        encoder: from images [N, C, H, W] to features [N, ...].
        decoder: from codes, [N, D] unless the family overrides ``decode``, to the likelihood's raw
            parameters [N, P * C, H, W].
        likelihood: turns parameters into log-probabilities and images.
        optimizer: builds the optimizer from the parameters.
        lr_scheduler: builds a scheduler from the optimizer; it is stepped once an epoch, and
            ReduceLROnPlateau watches ``val/loss``.
        corruption: damages what the encoder sees in training; the loss is against the clean image.
            With one, the model has ``corrupt`` (:class:`~lightning_gen.contracts.Denoises`).
    """

    corrupt: Corruption

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        likelihood: Likelihood,
        optimizer: OptimizerFactory,
        lr_scheduler: SchedulerFactory | None,
        corruption: Corruption | None,
    ) -> None:
        super().__init__(optimizer, lr_scheduler)
        self.encoder = encoder
        self.decoder = decoder
        self.likelihood = deepcopy(likelihood)
        if corruption is not None:
            self.corrupt = corruption

    def setup(self, stage: str) -> None:
        """Set the bias of a decoder that starts at the mean image.

        Raises:
            UserError: the data is no ImageDataModule, which knows its mean.
        """
        super().setup(stage)
        starting = [layer for layer in self.decoder.modules() if isinstance(layer, MeanStart)]
        if stage != "fit" or all(layer.started for layer in starting):
            return
        data = self.trainer.datamodule  # type: ignore[attr-defined]
        if not isinstance(data, HasMeanImage):
            raise UserError(
                "architecture.start_at_mean takes the mean of an ImageDataModule's training "
                f"images, got {type(data).__name__}. Train on an ImageDataModule, or leave it out."
            )
        for layer in starting:
            layer.start(self.likelihood.params(data.mean_image()[None]))

    @property
    def observation_model(self) -> Likelihood:
        """p(x|z): the ``likelihood``."""
        return self.likelihood

    def forward(self, images: Images) -> Images:
        """The reconstruction of each image."""
        return self.reconstruct(images)

    def decode(self, codes: Codes) -> Images:
        """Images [N, C, H, W] of codes [N, D]."""
        return self.likelihood.image(self.decoder(codes))

    def reconstruct(self, images: Images) -> Images:
        """Each image decoded from its own code."""
        return self.decode(self.encode(images))

    def _altered(self, images: Images) -> Images:
        return self.corrupt(images) if hasattr(self, "corrupt") else images


def check_latent_dim(latent_dim: int) -> None:
    """Raise a UserError unless there is at least one latent dimension."""
    if latent_dim < 1:
        raise UserError(
            f"latent_dim is the length of a code, at least 1, got {latent_dim}. "
            "Set model.latent_dim to 2 for a picture of the latent plane, 10 to 50 for quality."
        )
