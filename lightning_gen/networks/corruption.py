"""Corruptions of a denoising autoencoder's input."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from lightning_gen.contracts import Images
from lightning_gen.errors import UserError, check_number
from lightning_gen.noise import normal_like, uniform_like


@dataclass(frozen=True)
class Corruption(ABC):
    """Damages images in [0, 1], from torch's global random state; the result is in [0, 1] too."""

    @abstractmethod
    def __call__(self, images: Images) -> Images:
        """The damaged images; the given ones stay as they are."""


@dataclass(frozen=True)
class GaussianNoise(Corruption):
    """Adds N(0, sigma^2) to each pixel, then cuts to [0, 1] (Vincent et al. 2010, section 3.2).

    Args:
        sigma: standard deviation in units of the image range.
    """

    sigma: float = 0.3

    def __post_init__(self) -> None:
        remedy = "Set it to 0.3, or corruption to null."
        check_number("GaussianNoise.sigma", self.sigma, 0, remedy, above=True)

    def __call__(self, images: Images) -> Images:
        """Noisy images."""
        return (images + self.sigma * normal_like(images)).clamp_(0, 1)


@dataclass(frozen=True)
class Masking(Corruption):
    """Sets pixels to black, all channels of a pixel together (Vincent et al. 2010, section 3.3).

    Args:
        probability: of each pixel to be masked.
    """

    probability: float = 0.5

    def __post_init__(self) -> None:
        check_probability(self, self.probability)

    def __call__(self, images: Images) -> Images:
        """Images with holes."""
        return images * (one_per_pixel(images) >= self.probability)


@dataclass(frozen=True)
class SaltAndPepper(Corruption):
    """Sets pixels to black or white, equally often (Vincent et al. 2010, section 3.3).

    Args:
        probability: of each pixel to be replaced, all its channels together.
    """

    probability: float = 0.2

    def __post_init__(self) -> None:
        check_probability(self, self.probability)

    def __call__(self, images: Images) -> Images:
        """Images with white and black dots."""
        draw = one_per_pixel(images)
        white = (draw < self.probability / 2).to(images.dtype)
        return torch.where(draw < self.probability, white, images)


def one_per_pixel(images: Images) -> Float[Tensor, "n 1 h w"]:
    """Uniform numbers in [0, 1), one for all channels of a pixel."""
    return uniform_like(images[:, :1])


def check_probability(corruption: Corruption, probability: float) -> None:
    """Raise a UserError unless ``probability`` is above 0 and at most 1."""
    if not 0 < probability <= 1:
        name = type(corruption).__name__
        raise UserError(
            f"{name}.probability is above 0 and at most 1, got {probability}. "
            "Set it to 0.3, or corruption to null."
        )
