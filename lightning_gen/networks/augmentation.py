"""Random changes of images that a discriminator is shown, through which gradients pass."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lightning_gen.contracts import Images
from lightning_gen.errors import UserError
from lightning_gen.noise import uniform_like

GREY = 0.5
"""What is shown where there is no image: the middle of the range."""


@dataclass(frozen=True)
class DiffAugment:
    """Differentiable augmentation (Zhao et al. 2020, arXiv:2006.10738).

    The discriminator of a GAN is shown real and generated images changed in the same ways, each at
    random, so that it cannot learn a few images by heart; the generator's gradient passes through.
    The paper's changes and strengths, in this order.

    Args:
        color: brightness by up to a quarter of the range, saturation up to twice, contrast from
            half to one and a half.
        translation: greatest shift, as a share of each side; 0 shifts nothing.
        cutout: side of a grey rectangle, as a share of each side of the image; 0 hides nothing.
    """

    color: bool = True
    translation: float = 0.125
    cutout: float = 0.5

    def __post_init__(self) -> None:
        for name in ("translation", "cutout"):
            value = getattr(self, name)
            if not 0 <= value < 1:
                raise UserError(
                    f"DiffAugment.{name} is a share of the image's side, at least 0 and below 1, "
                    f"got {value}. Set it to {getattr(type(self), name)}."
                )

    def __call__(self, images: Images) -> Images:
        """The changed images, of which some pixels may leave [0, 1]."""
        if self.color:
            images = change_color(images, *(uniform_like(images[:, :1, :1, :1]) for _ in range(3)))
        sides = images.shape[2:]
        if self.translation:
            limits = [int(side * self.translation + 0.5) for side in sides]
            moves = [_whole(images, 2 * limit + 1) - limit for limit in limits]
            images = shift(images, *moves)
        if self.cutout:
            sizes = [int(side * self.cutout + 0.5) for side in sides]
            pairs = zip(sides, sizes, strict=True)
            # An even rectangle's centre lies on each place between two pixels, and an odd one's on
            # each pixel: it may reach out of the image.
            firsts = [_whole(images, side + 1 - size % 2) - size // 2 for side, size in pairs]
            images = hide(images, firsts, sizes)
        return images


def change_color(images: Images, *numbers: Float[Tensor, "n 1 1 1"]) -> Images:
    """Brightness, saturation and contrast, from a number in [0, 1) of each for each image."""
    brightness, saturation, contrast = numbers
    images = images + (brightness - 0.5) / 2
    grey = images.mean(dim=1, keepdim=True)
    images = torch.lerp(grey, images, 2 * saturation) if images.shape[1] > 1 else images
    level = images.mean(dim=(1, 2, 3), keepdim=True)
    return torch.lerp(level, images, contrast + 0.5)


def shift(images: Images, down: Int[Tensor, " n"], right: Int[Tensor, " n"]) -> Images:
    """Each image moved by whole pixels, grey where it has left."""
    for dim, moves in ((2, down), (3, right)):
        side = images.shape[dim]
        source = torch.arange(side, device=images.device) - moves[:, None]
        form = [len(images), 1, 1, 1]
        form[dim] = side
        source = source.view(form)
        taken = images.gather(dim, source.clamp(0, side - 1).expand_as(images))
        images = torch.where((source >= 0) & (source < side), taken, GREY)
    return images


def hide(images: Images, firsts: list[Int[Tensor, " n"]], sizes: list[int]) -> Images:
    """Each image with a grey rectangle of these sizes, from its own first row and column on."""
    covered = []
    for side, first, size in zip(images.shape[2:], firsts, sizes, strict=True):
        places = torch.arange(side, device=images.device) - first[:, None]
        covered.append((places >= 0) & (places < size))
    inside = covered[0][:, None, :, None] & covered[1][:, None, None, :]
    return images.masked_fill(inside, GREY)


def _whole(images: Images, count: int) -> Int[Tensor, " n"]:
    """A whole number from 0 to count - 1 for each image."""
    return (uniform_like(images[:, 0, 0, 0]) * count).long().clamp_(max=count - 1)
