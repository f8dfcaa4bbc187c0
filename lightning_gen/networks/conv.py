"""Strided convolutions: halve by a convolution, finish the stage, repeat; as in DCGAN."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from jaxtyping import Float
from torch import Tensor, nn

from lightning_gen.contracts import ImageShape
from lightning_gen.errors import UserError
from lightning_gen.networks.architecture import Architecture, check_widths, layer, layer_end
from lightning_gen.networks.dense import hidden_layers

Size = tuple[int, int]
Finish = Callable[[int], Sequence[nn.Module]]
"""Layers that complete a stage of so many channels."""


def strided_encoder(
    image_shape: ImageShape, widths: Sequence[int], finish: Finish, out_features: int
) -> nn.Sequential:
    """:func:`halvings`, flatten, one linear layer."""
    height, width = halved_sizes(image_shape, len(widths))[-1]
    layers = halvings(image_shape[0], widths, finish)
    flat = widths[-1] * height * width
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(flat, out_features))


def strided_decoder(
    in_features: int,
    widths: Sequence[int],
    start: Sequence[nn.Module],
    finish: Finish,
    out_shape: ImageShape,
) -> nn.Sequential:
    """The mirror of :func:`strided_encoder`, with the same widths in the same order.

    ``start`` stands between the linear layer and the first transposed convolution; the last stage
    gives the raw parameters of ``out_shape`` (parameters per channel x channels, height, width).
    """
    height, width = halved_sizes(out_shape, len(widths))[-1]
    return nn.Sequential(
        nn.Linear(in_features, widths[-1] * height * width),
        nn.Unflatten(1, (widths[-1], height, width)),
        *start,
        *doublings(widths, finish, out_shape),
    )


def halvings(channels: int, widths: Sequence[int], finish: Finish) -> list[nn.Module]:
    """A 4x4 convolution of stride 2 and ``finish`` for each width; a side is rounded down."""
    layers: list[nn.Module] = []
    for before, after in pairwise((channels, *widths)):
        layers += [nn.Conv2d(before, after, 4, 2, padding=1), *finish(after)]
    return layers


def doublings(widths: Sequence[int], finish: Finish, out_shape: ImageShape) -> list[nn.Module]:
    """Transposed convolutions that undo :func:`halvings`; the arguments of the decoder above."""
    out_channels, *_ = out_shape
    sizes = halved_sizes(out_shape, len(widths))[::-1]
    channels = [*widths[::-1], out_channels]
    layers: list[nn.Module] = []
    for (before, after), (small, large) in zip(pairwise(channels), pairwise(sizes), strict=True):
        odd = (large[0] - 2 * small[0], large[1] - 2 * small[1])
        layers.append(nn.ConvTranspose2d(before, after, 4, 2, padding=1, output_padding=odd))
        if large != sizes[-1]:
            layers.extend(finish(after))
    return layers


def halved_sizes(image_shape: ImageShape, times: int, *, up: bool = False) -> list[Size]:
    """(height, width) before and after each of ``times`` halvings that round down, or ``up``."""
    _, height, width = image_shape
    if min(height, width) < 2**times:
        raise UserError(
            f"widths halve the image {times} times, so that it needs at least {2**times} pixels a "
            f"side, got {height}x{width}. Pass fewer widths or set data.image_size."
        )
    if up:
        return [(-(-height >> i), -(-width >> i)) for i in range(times + 1)]
    return [(height >> i, width >> i) for i in range(times + 1)]


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
        return layer_end(self.activation, self.normalization, channels)


class ResidualBlock(nn.Module):
    """activation(x + conv(activation(conv(x)))), 3x3, channels unchanged (He et al. 2016).

    A normalization follows each convolution, if there is one.
    """

    def __init__(
        self,
        channels: int,
        activation: type[nn.Module] = nn.ReLU,
        normalization: type[nn.Module] | None = None,
    ) -> None:
        super().__init__()
        norm = normalization or (lambda channels: nn.Identity())
        self.residual = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1),
            norm(channels),
            layer(activation),
            nn.Conv2d(channels, channels, 3, padding=1),
            norm(channels),
        )
        self.activation = layer(activation)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """The block's output, of the shape of ``x``."""
        return self.activation(x + self.residual(x))  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Residual(Architecture):
    """4x4 convolutions of stride 2, each followed by a residual block; the decoder mirrors them.

    Args:
        widths: channels after each halving.
        activation: class of the activations.
        normalization: class of a layer after each convolution but the last, built from the
            channels (``torch.nn.BatchNorm2d``, ``torch.nn.InstanceNorm2d``).
    """

    widths: tuple[int, ...] = (64, 128, 256)
    activation: type[nn.Module] = nn.ReLU
    normalization: type[nn.Module] | None = None

    def __post_init__(self) -> None:
        check_widths(self, self.widths)

    def encoder(self, image_shape: ImageShape, out_features: int) -> nn.Module:
        """Stages, flatten, one linear layer."""
        return strided_encoder(image_shape, self.widths, self._finish, out_features)

    def decoder(
        self, image_shape: ImageShape, in_features: int, params_per_channel: int
    ) -> nn.Module:
        """One linear layer, unflatten, stages, one transposed convolution."""
        channels, height, width = image_shape
        out_shape = (channels * params_per_channel, height, width)
        return strided_decoder(in_features, self.widths, (), self._finish, out_shape)

    def _finish(self, channels: int) -> list[nn.Module]:
        block = ResidualBlock(channels, self.activation, self.normalization)
        return [*layer_end(self.activation, self.normalization, channels), block]
