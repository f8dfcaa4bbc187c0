"""Strided convolutions, as in DCGAN's networks."""

from dataclasses import dataclass

from torch import nn

from lightning_gen.networks.architecture import Architecture, ImageShape, check_widths
from lightning_gen.networks.strided import strided_decoder, strided_encoder


@dataclass(frozen=True)
class Conv(Architecture):
    """4x4 convolutions of stride 2, each halving the image; the decoder mirrors them.

    Args:
        widths: channels after each halving.
        activation: class of the activation after each hidden layer.
        normalization: class of a layer before each activation, built from the channels
            (``torch.nn.BatchNorm2d``, ``torch.nn.InstanceNorm2d``).
    """

    widths: tuple[int, ...] = (32, 64)
    activation: type[nn.Module] = nn.ReLU
    normalization: type[nn.Module] | None = None

    def __post_init__(self) -> None:
        check_widths(self, self.widths)

    def encoder(self, image_shape: ImageShape, out_features: int) -> nn.Module:
        """Convolutions, flatten, one linear layer."""
        return strided_encoder(image_shape, self.widths, self._finish, out_features)

    def decoder(
        self, image_shape: ImageShape, in_features: int, params_per_channel: int
    ) -> nn.Module:
        """One linear layer, unflatten, transposed convolutions."""
        channels, height, width = image_shape
        out_shape = (channels * params_per_channel, height, width)
        start = self._finish(self.widths[-1])
        return strided_decoder(in_features, self.widths, start, self._finish, out_shape)

    def _finish(self, channels: int) -> list[nn.Module]:
        norm = [] if self.normalization is None else [self.normalization(channels)]
        return [*norm, self.activation()]
