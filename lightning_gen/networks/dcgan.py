"""Generators and discriminators of DCGAN (Radford, Metz & Chintala 2016, arXiv:1511.06434)."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from lightning_gen.contracts import Images, ImageShape
from lightning_gen.networks.architecture import check_ranges, check_widths
from lightning_gen.networks.conv import Size, halved_sizes


@dataclass(frozen=True)
class AdversarialNetworks(ABC):
    """A recipe for a generator and the discriminator that it plays against."""

    @abstractmethod
    def generator(self, image_shape: ImageShape, latent_dim: int) -> nn.Module:
        """A module from noise [N, latent_dim] to images [N, C, H, W] in [0, 1]."""

    @abstractmethod
    def discriminator(self, image_shape: ImageShape) -> nn.Module:
        """A module from images [N, C, H, W] in [0, 1] to raw scores [N], high for real images."""


@dataclass(frozen=True)
class DCGANNetworks(AdversarialNetworks):
    """Strided convolutions in the discriminator, transposed ones in the generator.

    The defaults are the paper's layout; the widths (128, 256, 512, 1024) give its generator for
    64x64 images. Weights start from N(0, 0.02^2), biases from 0, the scales of BatchNorm from
    N(1, 0.02^2). An even kernel halves the sides rounding down, an odd one rounding up.

    Args:
        widths: channels after each halving of the discriminator; the generator mirrors them.
        kernel_size: of every convolution, at least 3.
        dropout: share of the discriminator's activations that are dropped after each convolution.
        norm_start: BatchNorm and ReLU between the generator's linear layer and its first
            convolution; without them the two are one linear map. Its further stages have both.
        norm_discriminator: BatchNorm in the discriminator's stages but the first. A gradient
            penalty needs it off.
        spectral_norm: divide each weight of the discriminator, as a matrix with a row an output, by
            its largest singular value (Miyato et al. 2018, arXiv:1802.05957).
    """

    widths: tuple[int, ...] = (64, 128, 256)
    kernel_size: int = 4
    dropout: float = 0.0
    norm_start: bool = True
    norm_discriminator: bool = True
    spectral_norm: bool = False

    def __post_init__(self) -> None:
        check_widths(self, self.widths)
        check_ranges(self, {"kernel_size": (3, math.inf), "dropout": (0, 1)})

    def generator(self, image_shape: ImageShape, latent_dim: int) -> nn.Module:
        """One linear layer, unflatten, transposed convolutions, tanh."""
        sizes = self._sizes(image_shape)[::-1]
        channels = [*self.widths[::-1], image_shape[0]]
        start = (channels[0], *sizes[0])
        layers: list[nn.Module] = [
            nn.Linear(latent_dim, start[0] * start[1] * start[2]),
            nn.Unflatten(1, start),
        ]
        finish = [nn.BatchNorm2d(start[0]), nn.ReLU()] if self.norm_start else []
        for (before, after), (small, large) in zip(
            pairwise(channels), pairwise(sizes), strict=True
        ):
            layers += [*finish, self._doubling(before, after, small, large)]
            finish = [nn.BatchNorm2d(after), nn.ReLU()]
        return nn.Sequential(*layers, _FromTanh()).apply(_initialise)

    def discriminator(self, image_shape: ImageShape) -> nn.Module:
        """Convolutions with LeakyReLU 0.2 and dropout, flatten, one linear layer."""
        height, width = self._sizes(image_shape)[-1]
        padding = (self.kernel_size - 1) // 2
        layers: list[nn.Module] = [_ToTanhRange()]
        for stage, (before, after) in enumerate(pairwise((image_shape[0], *self.widths))):
            layers.append(nn.Conv2d(before, after, self.kernel_size, 2, padding))
            layers += [nn.BatchNorm2d(after)] if self.norm_discriminator and stage else []
            layers.append(nn.LeakyReLU(0.2))
            layers += [nn.Dropout(self.dropout)] if self.dropout else []
        score = nn.Linear(self.widths[-1] * height * width, 1)
        network = nn.Sequential(*layers, nn.Flatten(), score, nn.Flatten(0)).apply(_initialise)
        return network.apply(_divide_by_norm) if self.spectral_norm else network

    def _sizes(self, image_shape: ImageShape) -> list[Size]:
        """(height, width) before and after each halving."""
        return halved_sizes(image_shape, len(self.widths), up=self.kernel_size % 2 == 1)

    def _doubling(self, before: int, after: int, small: Size, large: Size) -> nn.Module:
        padding = (self.kernel_size - 1) // 2
        least = [2 * (side - 1) - 2 * padding + self.kernel_size for side in small]
        missing = (large[0] - least[0], large[1] - least[1])
        return nn.ConvTranspose2d(before, after, self.kernel_size, 2, padding, missing)


class _FromTanh(nn.Module):
    """tanh, mapped to [0, 1], in float32: bfloat16 has too few grey levels."""

    def forward(self, raw: Images) -> Images:
        return (torch.tanh(raw.float()) + 1) / 2


class _ToTanhRange(nn.Module):
    """[0, 1] to [-1, 1]."""

    def forward(self, images: Images) -> Images:
        return 2 * images - 1


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)


def _divide_by_norm(module: nn.Module) -> None:
    if isinstance(module, nn.Linear | nn.Conv2d):
        spectral_norm(module)
