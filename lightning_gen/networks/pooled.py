"""The convolutional autoencoder's networks: pooling down, transposed convolutions up."""

from collections.abc import Sequence
from itertools import pairwise

from torch import nn

from lightning_gen.contracts import ImageShape
from lightning_gen.networks.architecture import check_widths
from lightning_gen.networks.conv import halved_sizes


class Pooled:
    """3x3 convolutions with pooling between them; the code is the last feature map, flattened.

    A side of odd length is rounded up when it is halved (28, 14, 7, 4), and restored exactly.

    Args:
        widths: channels of each convolution; all but the last are followed by a 2x2 max pooling,
            and the last is the depth of the code.
        image_shape: (channels, height, width).
    """

    def __init__(self, widths: Sequence[int], image_shape: ImageShape) -> None:
        check_widths(self, widths)
        self.widths = tuple(widths)
        self.channels, *_ = image_shape
        self.sizes = halved_sizes(image_shape, len(widths) - 1, up=True)

    @property
    def code_shape(self) -> ImageShape:
        """(channels, height, width) of the code before it is flattened."""
        return (self.widths[-1], *self.sizes[-1])

    def encoder(self) -> nn.Module:
        """A module from images [N, C, H, W] to codes [N, prod(code_shape)]."""
        layers: list[nn.Module] = []
        for before, after in pairwise((self.channels, *self.widths)):
            if layers:
                layers.append(nn.MaxPool2d(2, ceil_mode=True))
            layers += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU()]
        return nn.Sequential(*layers, nn.Flatten())

    def decoder(self, params_per_channel: int) -> nn.Module:
        """A module from codes to raw parameters [N, P * C, H, W]."""
        layers: list[nn.Module] = [nn.Unflatten(1, self.code_shape)]
        up = (self.widths[-1], *self.widths[-2::-1])
        for (before, after), (small, large) in zip(
            pairwise(up), pairwise(self.sizes[::-1]), strict=True
        ):
            even = (large[0] - 2 * small[0] + 1, large[1] - 2 * small[1] + 1)
            layers += [
                nn.ConvTranspose2d(before, after, 3, 2, padding=1, output_padding=even),
                nn.ReLU(),
            ]
        out = nn.Conv2d(up[-1], self.channels * params_per_channel, 3, padding=1)
        return nn.Sequential(*layers, out)
