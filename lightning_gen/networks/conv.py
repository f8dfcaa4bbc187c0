"""Strided convolutions, as in DCGAN's networks."""

from dataclasses import dataclass
from itertools import pairwise

from torch import nn

from lightning_gen.contracts import ImageShape
from lightning_gen.networks.architecture import Architecture, check_widths
from lightning_gen.networks.dense import hidden_layers
from lightning_gen.networks.layer import layer
from lightning_gen.networks.strided import strided_decoder, strided_encoder


@dataclass(frozen=True)
class Conv(Architecture):
    """4x4 convolutions of stride 2, each halving the image; the decoder mirrors them.

    Args:
        widths: channels after each halving.
        activation: class of the activation after each hidden layer.
        normalization: class of a layer before each activation, built from the channels
            (``torch.nn.BatchNorm2d``, ``torch.nn.InstanceNorm2d``).
        hidden: units of fully connected layers between the smallest map and the code, in the
            encoder's order; (256,) with the widths (32, 32, 64, 64) is the network of Higgins et
            al. 2017 for 64x64 images.
    """

    widths: tuple[int, ...] = (32, 64)
    activation: type[nn.Module] = nn.ReLU
    normalization: type[nn.Module] | None = None
    hidden: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        check_widths(self, self.widths)
        check_widths(self, self.hidden, fewest=0, argument="hidden")

    def encoder(self, image_shape: ImageShape, out_features: int) -> nn.Module:
        """Convolutions, flatten, linear layers."""
        first, *others = (*self.hidden, out_features)
        network = strided_encoder(image_shape, self.widths, self._finish, first)
        for before, after in pairwise((first, *others)):
            network.extend([layer(self.activation), nn.Linear(before, after)])
        return network

    def decoder(
        self, image_shape: ImageShape, in_features: int, params_per_channel: int
    ) -> nn.Module:
        """Linear layers, unflatten, transposed convolutions."""
        channels, height, width = image_shape
        out_shape = (channels * params_per_channel, height, width)
        start = self._finish(self.widths[-1])
        widths = (in_features, *reversed(self.hidden))
        network = strided_decoder(widths[-1], self.widths, start, self._finish, out_shape)
        return nn.Sequential(*hidden_layers(widths, self.activation), *network)

    def _finish(self, channels: int) -> list[nn.Module]:
        norm = [] if self.normalization is None else [layer(self.normalization, channels)]
        return [*norm, layer(self.activation)]
