"""Strided convolutions with a residual block after each."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from lightning_gen.contracts import ImageShape
from lightning_gen.networks.architecture import Architecture, check_widths, layer, layer_end
from lightning_gen.networks.conv import strided_decoder, strided_encoder


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
