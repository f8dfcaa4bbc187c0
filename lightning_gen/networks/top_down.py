"""The networks of a hierarchical variational autoencoder: features bottom up, codes top down."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from lightning_gen.contracts import Codes, Images, ImageShape
from lightning_gen.errors import UserError
from lightning_gen.networks.architecture import check_widths, layer
from lightning_gen.networks.conv import Size, halved_sizes

ScaleMaps = Float[Tensor, "n _ h w"]
Pyramid = list[Float[Tensor, "n _ _ _"]]
"""ScaleMaps of several scales."""

CodeOfScale = Callable[[ScaleMaps, "Scale"], ScaleMaps]
"""The code of a scale, given the map that the smaller ones have made."""

WIDEST = 3.0
"""By so much at most a log-standard deviation is away from 0."""


@dataclass(frozen=True)
class TopDown:
    """A recipe for the networks of a ladder of codes (Sonderby et al. 2016, Child 2021).

    Each scale halves the image; an odd side is rounded up (28, 14, 7, 4). The encoder gives a map
    of features for each; the decoder goes from the smallest to the largest and takes a code at
    each, of a Gaussian that the codes before have made.

    Args:
        widths: channels of the feature maps, from the largest map to the smallest.
        code_channels: channels of the code at each scale, in the same order; 0 where there is none.
        activation: class of the activations.
    """

    widths: tuple[int, ...] = (32, 64, 64)
    code_channels: tuple[int, ...] = (2, 4, 8)
    activation: type[nn.Module] = nn.SiLU

    def __post_init__(self) -> None:
        check_widths(self, self.widths)
        if len(self.code_channels) != len(self.widths) or not (
            min(self.code_channels) >= 0 < self.code_channels[-1]
        ):
            raise UserError(
                "TopDown.code_channels lists one number a scale, 0 for a scale without a code, and "
                f"the smallest map has one; got {list(self.code_channels)} for the widths "
                f"{list(self.widths)}. Set it to {[0] * (len(self.widths) - 1) + [8]}."
            )

    def sizes(self, image_shape: ImageShape) -> list[Size]:
        """(height, width) of each map, from the largest."""
        return halved_sizes(image_shape, len(self.widths), up=True)[1:]

    def encoder(self, image_shape: ImageShape) -> "BottomUp":
        """A module from images [N, C, H, W] to the features of each scale."""
        self.sizes(image_shape)
        return BottomUp((image_shape[0], *self.widths), self.activation)

    def decoder(self, image_shape: ImageShape, params_per_channel: int) -> "TopDownDecoder":
        """A module from codes [N, D] to raw parameters [N, P * C, H, W]."""
        return TopDownDecoder(self, image_shape, params_per_channel)


class BottomUp(nn.Module):
    """A convolution of stride 2 and a residual block for each scale."""

    def __init__(self, channels: tuple[int, ...], activation: type[nn.Module]) -> None:
        super().__init__()
        self.scales = nn.ModuleList(
            nn.Sequential(nn.Conv2d(before, after, 3, 2, padding=1), Residue(after, activation))
            for before, after in pairwise(channels)
        )

    def forward(self, images: Images) -> Pyramid:
        """The features of each scale, from the largest map."""
        found = [images]
        for scale in self.scales:
            found.append(scale(found[-1]))
        return found[1:]


class TopDownDecoder(nn.Module):
    """From the smallest map to the image, with a code at each scale.

    A code z is mean + std * noise, of the Gaussian p(z | codes before); the codes [N, D] of the
    decoder are the noise of all scales, whose prior is N(0, I) therefore.
    """

    def __init__(self, recipe: TopDown, image_shape: ImageShape, params_per_channel: int) -> None:
        super().__init__()
        sizes, (channels, *self.image_size) = recipe.sizes(image_shape), image_shape
        self.start = nn.Parameter(torch.zeros(recipe.widths[-1], *sizes[-1]))
        widths = recipe.widths[-1], *recipe.widths[::-1]
        scales = [
            Scale(before, after, code, size, recipe.activation)
            for (before, after), code, size in zip(
                pairwise(widths), recipe.code_channels[::-1], sizes[::-1], strict=True
            )
        ]
        self.scales = nn.ModuleList(scales)
        self.output = nn.Sequential(
            layer(recipe.activation),
            nn.Conv2d(widths[-1], 4 * channels * params_per_channel, 3, padding=1),
            nn.PixelShuffle(2),
        )
        self.code_sizes = {
            f"{scale.size[0]}x{scale.size[1]}": scale.code_shape.numel()
            for scale in scales
            if scale.code_shape.numel()
        }
        """Numbers of the code of each scale that has one, by the size of the map."""
        self.latent_dim = sum(self.code_sizes.values())

    def forward(self, codes: Codes) -> Float[Tensor, "n pc h w"]:
        """The raw parameters of the images of codes."""
        parts = iter(torch.split(codes, [*self.code_sizes.values()], dim=1))
        n = codes.shape[0]
        return self.descend(n, lambda _, scale: next(parts).view(n, *scale.code_shape))

    def descend(self, n: int | torch.SymInt, draw: CodeOfScale) -> Float[Tensor, "n pc h w"]:
        """The raw parameters of ``n`` images, whose codes ``draw`` gives scale by scale."""
        maps = self.start.expand(n, -1, -1, -1)
        scales: Any = self.scales
        for scale in scales:
            maps = scale.grow(maps)
            if scale.code_shape.numel():
                maps = scale.tell(maps, draw(maps, scale))
            maps = scale.block(maps)
        height, width = self.image_size
        found: Tensor = self.output(maps)
        return found[..., :height, :width]


class Scale(nn.Module):
    """One map of the way down: its prior, its posterior and a residual block."""

    def __init__(
        self, before: int, width: int, code: int, size: Size, activation: type[nn.Module]
    ) -> None:
        super().__init__()
        self.size = size
        self.code_shape = torch.Size((code, *size))
        self.widen = nn.Identity() if before == width else nn.Conv2d(before, width, 1)
        self.block = Residue(width, activation)
        if code:
            self.prior = nn.Sequential(layer(activation), nn.Conv2d(width, 2 * code, 1))
            self.posterior = nn.Sequential(
                layer(activation),
                nn.Conv2d(2 * width, width, 3, padding=1),
                layer(activation),
                zero(nn.Conv2d(width, 2 * code, 1)),
            )
            self.telling = nn.Conv2d(code, width, 1)

    def grow(self, maps: Float[Tensor, "n _ _ _"]) -> ScaleMaps:
        """The smaller map before, at this one's size."""
        maps = self.widen(maps)
        return maps if maps.shape[2:] == self.size else F.interpolate(maps, self.size)

    def tell(self, maps: ScaleMaps, noise: ScaleMaps) -> ScaleMaps:
        """The map with what the code of this noise tells."""
        mean, log_std = self.prior(maps).chunk(2, dim=1)
        code = mean + bounded(log_std).exp() * noise
        told: ScaleMaps = maps + self.telling(code)
        return told

    def infer(self, maps: ScaleMaps, features: ScaleMaps) -> tuple[ScaleMaps, ScaleMaps]:
        """Mean and log-variance of the noise, given the image's features: 0 before training."""
        found = self.posterior(torch.cat([maps, features], dim=1)).float()
        mean, log_std = found.chunk(2, dim=1)
        return mean, 2 * bounded(log_std)


class Residue(nn.Module):
    """x + conv(activation(conv(activation(x)))), 3x3, which is x before training."""

    def __init__(self, channels: int, activation: type[nn.Module]) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            layer(activation),
            nn.Conv2d(channels, channels, 3, padding=1),
            layer(activation),
            zero(nn.Conv2d(channels, channels, 3, padding=1)),
        )

    def forward(self, x: ScaleMaps) -> ScaleMaps:
        """The block's output, of the shape of ``x``."""
        return x + self.residual(x)  # type: ignore[no-any-return]


def zero(convolution: nn.Conv2d) -> nn.Conv2d:
    """The convolution with weights that start at zero."""
    for parameter in convolution.parameters():
        nn.init.zeros_(parameter)
    return convolution


def bounded(log_std: Tensor) -> Tensor:
    """Log-standard deviations within WIDEST of 0, smoothly."""
    return WIDEST * torch.tanh(log_std / WIDEST)
