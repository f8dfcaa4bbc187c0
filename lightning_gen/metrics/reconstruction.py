"""How near reconstructions are to their images; each is a mean over images of a number an image."""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from lightning_gen.contracts import Images, PerImage
from lightning_gen.errors import UserError
from lightning_gen.metrics.estimate import MeanOverImages


class ReconstructionMetric(MeanOverImages, ABC):
    """A number for each pair of image and reconstruction, both in [0, 1]."""

    unit: ClassVar[str]

    @staticmethod
    @abstractmethod
    def of(reconstructions: Images, images: Images) -> PerImage:
        """The number of each pair."""

    def update(self, reconstructions: Images, images: Images) -> None:  # type: ignore[override]
        """Add a batch of pairs, of one shape; under autocast too in float32."""
        if reconstructions.shape != images.shape:
            shapes = f"got {[*reconstructions.shape]} and {[*images.shape]}"
            raise UserError(f"{type(self).__name__} compares images of one shape, {shapes}.")
        with torch.autocast(images.device.type, enabled=False):
            super().update(self.of(reconstructions.float(), images.float()))


class MSE(ReconstructionMetric):
    """Mean squared error of a pixel: 1/D sum_i (x_i - y_i)^2, from 0, lower is better.

    The unit is the square of the image range, which is 1; times 255^2 for 8-bit pixels.
    """

    unit = "squared image range per pixel"
    higher_is_better: bool | None = False

    @staticmethod
    def of(reconstructions: Images, images: Images) -> PerImage:
        """The mean over pixels and channels."""
        return (reconstructions - images).square().flatten(1).mean(dim=1)


class PSNR(ReconstructionMetric):
    """Peak signal-to-noise ratio: mean over images of 10 log10(1 / MSE), in dB, higher is better.

    The mean of the images' ratios, not the ratio of the mean error, which is lower (Jensen). An
    exact reconstruction counts as 100 dB, where 8-bit images differ by less than a rounding.
    """

    unit = "dB"
    higher_is_better: bool | None = True
    greatest: ClassVar[float] = 100.0

    @staticmethod
    def of(reconstructions: Images, images: Images) -> PerImage:
        """The ratio of each pair, at most 100 dB."""
        return -10 * torch.log10(
            MSE.of(reconstructions, images).clamp(min=10 ** (-PSNR.greatest / 10))
        )


class SSIM(ReconstructionMetric):
    """Structural similarity by the settings of its authors (Wang et al. 2004).

    An 11x11 Gaussian window of sigma 1.5 at every place where it lies within the image, no padding;
    k1 = 0.01, k2 = 0.03, data range 1, moments without Bessel's correction. From -1 to 1, higher is
    better, no unit. Images need 11 pixels a side. Colour images: the mean over channels.
    """

    unit = "none"
    higher_is_better: bool | None = True
    window: ClassVar[int] = 11

    @staticmethod
    def of(reconstructions: Images, images: Images) -> PerImage:
        """The mean over positions and channels, in float64: variances are small differences."""
        x, y = reconstructions.double(), images.double()
        mean_x, mean_y = _windowed(x), _windowed(y)
        var_x, var_y = _windowed(x * x) - mean_x**2, _windowed(y * y) - mean_y**2
        covariance = _windowed(x * y) - mean_x * mean_y
        luminance = (2 * mean_x * mean_y + 0.01**2) / (mean_x**2 + mean_y**2 + 0.01**2)
        structure = (2 * covariance + 0.03**2) / (var_x + var_y + 0.03**2)
        return (luminance * structure).flatten(1).mean(dim=1)


def _windowed(images: Images) -> Float[Tensor, "n c places_h places_w"]:
    """The Gaussian-weighted mean around every place where the whole window fits."""
    places = torch.arange(SSIM.window, device=images.device, dtype=images.dtype)
    weights = torch.exp(-0.5 * ((places - SSIM.window // 2) / 1.5).square())
    weights = weights / weights.sum()
    maps = images.flatten(0, 1)[:, None]
    maps = F.conv2d(F.conv2d(maps, weights.view(1, 1, -1, 1)), weights.view(1, 1, 1, -1))
    return maps.view(*images.shape[:2], *maps.shape[2:])


class BCE(ReconstructionMetric):
    """Binary cross-entropy of a pixel: -x log y - (1 - x) log(1 - y), in nats, lower is better.

    From 0 for binary images; for grey levels the least value is the entropy of the image itself, so
    that it compares on one dataset only. log y is at least -100, as in torch.
    """

    unit = "nats per pixel"
    higher_is_better: bool | None = False

    @staticmethod
    def of(reconstructions: Images, images: Images) -> PerImage:
        """The mean over pixels and channels."""
        nats = F.binary_cross_entropy(reconstructions.clamp(0, 1), images, reduction="none")
        return nats.flatten(1).mean(dim=1)


def mean_pairwise_distance(images: Float[Tensor, "n c h w"]) -> Float[Tensor, ""]:
    """Mean Euclidean distance between two of the images, in units of the image range, on the CPU.

    Over all pairs of different images: nan for fewer than two.
    """
    return torch.pdist(images.flatten(1).float().cpu()).mean()
