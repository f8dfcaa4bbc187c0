"""How near reconstructions are to their images; each is a mean over images of a number an image."""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from lightning_gen.metrics.estimate import MeanOverImages

Images = Float[Tensor, "n c h w"]
PerImage = Float[Tensor, " n"]


class ReconstructionMetric(MeanOverImages, ABC):
    """A number for each pair of image and reconstruction, both in [0, 1].

    Attributes:
        unit: of the number.
    """

    unit: ClassVar[str]

    @staticmethod
    @abstractmethod
    def of(reconstructions: Images, images: Images) -> PerImage:
        """The number of each pair."""

    def update(self, reconstructions: Images, images: Images) -> None:  # type: ignore[override]
        """Add a batch of pairs; under autocast too in float32."""
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
    """Structural similarity (Wang et al. 2004), torchmetrics' with an 11x11 Gaussian of sigma 1.5.

    From -1 to 1, higher is better, no unit; k1 = 0.01, k2 = 0.03, data range 1. Images need 12
    pixels a side.
    """

    unit = "none"
    higher_is_better: bool | None = True

    @staticmethod
    def of(reconstructions: Images, images: Images) -> PerImage:
        """The mean over positions and channels."""
        # Here: it imports all metrics of torchmetrics, nearly a second.
        from torchmetrics.functional.image import structural_similarity_index_measure

        similarity: PerImage = structural_similarity_index_measure(  # type: ignore[assignment]
            reconstructions, images, data_range=1.0, reduction="none"
        )
        return similarity.reshape(len(images))


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
