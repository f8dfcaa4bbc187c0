"""Encoders that end in a feature map, for codes with a place in the image."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import nn

from lightning_gen.contracts import ImageShape
from lightning_gen.errors import check_number
from lightning_gen.networks.architecture import check_widths, layer, layer_end
from lightning_gen.networks.conv import ResidualBlock, Size, doublings, halved_sizes, halvings


@dataclass(frozen=True)
class SpatialArchitecture(ABC):
    """A recipe for an encoder to feature maps and the decoder that mirrors it."""

    @abstractmethod
    def map_size(self, image_shape: ImageShape) -> Size:
        """(height h, width w) of the feature map."""

    @abstractmethod
    def encoder(self, image_shape: ImageShape, out_channels: int) -> nn.Module:
        """A module from images [N, C, H, W] to features [N, out_channels, h, w]."""

    @abstractmethod
    def decoder(
        self, image_shape: ImageShape, in_channels: int, params_per_channel: int
    ) -> nn.Module:
        """A module from features [N, in_channels, h, w] to raw parameters [N, P * C, H, W]."""


@dataclass(frozen=True)
class SpatialResidual(SpatialArchitecture):
    """4x4 convolutions of stride 2, then residual blocks; the decoder mirrors them.

    The networks of VQ-VAE (van den Oord et al. 2017, section 4.1): the blocks work on the smallest
    map. 28x28 images give a map of 7x7, 32x32 one of 8x8.

    Args:
        widths: channels after each halving of the image.
        blocks: residual blocks in the encoder, and as many in the decoder.
        activation: class of the activations.
        normalization: class of a layer after each convolution but the first and the last of the
            decoder and the last of the encoder, built from the channels (``torch.nn.BatchNorm2d``).
    """

    widths: tuple[int, ...] = (64, 128)
    blocks: int = 2
    activation: type[nn.Module] = nn.ReLU
    normalization: type[nn.Module] | None = None

    def __post_init__(self) -> None:
        check_widths(self, self.widths)
        check_number("SpatialResidual.blocks", self.blocks, 0)

    def map_size(self, image_shape: ImageShape) -> Size:
        """Each side halved once a width, rounded down."""
        return halved_sizes(image_shape, len(self.widths))[-1]

    def encoder(self, image_shape: ImageShape, out_channels: int) -> nn.Module:
        """Halvings, residual blocks, a 1x1 convolution."""
        self.map_size(image_shape)
        layers = halvings(image_shape[0], self.widths, self._finish)
        return nn.Sequential(*layers, *self._blocks(), nn.Conv2d(self.widths[-1], out_channels, 1))

    def decoder(
        self, image_shape: ImageShape, in_channels: int, params_per_channel: int
    ) -> nn.Module:
        """A 3x3 convolution, residual blocks, doublings."""
        channels, height, width = image_shape
        out_shape = (channels * params_per_channel, height, width)
        return nn.Sequential(
            nn.Conv2d(in_channels, self.widths[-1], 3, padding=1),
            layer(self.activation),
            *self._blocks(),
            *doublings(self.widths, self._finish, out_shape),
        )

    def _finish(self, channels: int) -> list[nn.Module]:
        return layer_end(self.activation, self.normalization, channels)

    def _blocks(self) -> list[nn.Module]:
        return [
            ResidualBlock(self.widths[-1], self.activation, self.normalization)
            for _ in range(self.blocks)
        ]
