"""Shapes: the images of dSprites' factors, drawn as they are asked for."""

import math
from functools import cached_property
from typing import Unpack

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lightning_gen.contracts import Batch, DataInfo
from lightning_gen.data.base import ImageDataModule, check_tested, cut
from lightning_gen.data.interfaces import Always, Source
from lightning_gen.data.loader import CPU, Split

FACTORS = {"shape": 3, "scale": 6, "orientation": 40, "x": 32, "y": 32}
SIZE = 64
"""Height and width in pixels."""
PERIODS = (10, 20, 40)
"""After so many steps of orientation a square, an ellipse and a heart look as before."""
REACH = 15.0
"""Pixels from a shape's centre to its farthest point, at scale 1."""


class Shapes(ImageDataModule):
    """White squares, ellipses and hearts on black, 64x64, one for each of 737,280 factors.

    The factors are those of dSprites (Matthey et al. 2017), in its order: shape (square, ellipse,
    heart), scale (0.5 to 1 in 6 steps), orientation (40 steps of 9 degrees), x and y of the centre
    (16 to 48 pixels in 32 steps). The images are drawn here, from formulas: no files, no download.
    A square looks the same at four orientations and an ellipse at two: such images are always in
    the same split.

    Args:
        batch_size: images a batch on each device.
        test_fraction: share of all images kept for testing.
        num_workers: processes that draw ahead; a batch of 64 takes one core a few milliseconds.
        **shared: ``val_fraction`` and ``images_on`` of :class:`ImageDataModule`.
    """

    sided = True
    info = DataInfo(
        (1, SIZE, SIZE), ("square", "ellipse", "heart"), tuple(FACTORS), tuple(FACTORS.values())
    )

    def __init__(
        self,
        batch_size: int = 64,
        test_fraction: float = 0.1,
        num_workers: int = 0,
        **shared: Unpack[Always],
    ) -> None:
        super().__init__(batch_size, binarize=None, train_classes=None, **shared)
        check_tested(test_fraction, num_workers)
        self.num_workers = num_workers
        self._test_fraction = test_fraction

    def load(self, split: str) -> Split:
        """The images of "train", those for validation included, or of "test"."""
        return Split(self._images, self._cut[split == "test"])

    def groups(self, train: Source) -> Tensor:
        """Images that look the same are of one group."""
        return self._alike[self._cut[0]]

    @cached_property
    def _images(self) -> Source:
        """The images of all splits."""
        return DrawnShapes()

    @cached_property
    def _alike(self) -> Tensor:
        """The group of each image."""
        return look_alike(torch.arange(len(self._images)))

    @cached_property
    def _cut(self) -> tuple[Tensor, Tensor]:
        """The positions of the images to train and to test on."""
        return cut(self._alike, self._test_fraction, "data.test_fraction")


def look_alike(indices: Int[Tensor, " n"]) -> Int[Tensor, " n"]:
    """Of each image the first that looks the same."""
    shape, scale, orientation, x, y = torch.unravel_index(indices, tuple(FACTORS.values()))
    orientation = orientation % torch.tensor(PERIODS)[shape]
    return index_of(torch.stack([shape, scale, orientation, x, y], dim=1))


def index_of(factors: Int[Tensor, "n 5"]) -> Int[Tensor, " n"]:
    """The position of the image with each row of factors, the last one changing fastest."""
    return torch.from_numpy(np.ravel_multi_index(factors.numpy().T, tuple(FACTORS.values())))


class DrawnShapes:
    """A source of all images, the last factor changing fastest."""

    device = CPU

    def __len__(self) -> int:
        return math.prod(FACTORS.values())

    def __getitem__(self, indices: Tensor) -> Batch:
        factors = torch.stack(torch.unravel_index(indices, tuple(FACTORS.values())), dim=1)
        return Batch(draw_shapes(factors).mul(255).to(torch.uint8)[:, None], factors[:, 0], factors)


def draw_shapes(factors: Int[Tensor, "n 5"]) -> Bool[Tensor, "n 64 64"]:
    """Which pixels' centres lie within the shape of each row of factors; rows go downwards."""
    shape, scale, orientation, x, y = factors.unbind(dim=1)
    orientation = orientation % torch.tensor(PERIODS)[shape]  # no pixel differs by rounding
    size = REACH * (0.5 + 0.1 * scale)
    angle = 2 * math.pi * orientation / FACTORS["orientation"]
    centres = torch.arange(SIZE) + 0.5
    right = (centres - _position(x)[:, None]) / size[:, None]
    down = (centres - _position(y)[:, None]) / size[:, None]
    cos, sin = angle.cos()[:, None], angle.sin()[:, None]
    # The pixels in the shape's own frame, one unit from its centre to its farthest point.
    u = (right * cos)[:, None, :] + (down * sin)[:, :, None]
    v = (down * cos)[:, :, None] - (right * sin)[:, None, :]
    inside = torch.empty(u.shape, dtype=torch.bool)
    for number, formula in enumerate((_in_square, _in_ellipse, _in_heart)):
        chosen = shape == number
        inside[chosen] = formula(u[chosen], v[chosen])
    return inside


def _position(step: Int[Tensor, " n"]) -> Float[Tensor, " n"]:
    """The centre in pixels: REACH + 1 from the border at the first and the last step."""
    span = SIZE - 2 * (REACH + 1)
    return REACH + 1 + span * step / (FACTORS["x"] - 1)


def _in_square(u: Float[Tensor, "..."], v: Float[Tensor, "..."]) -> Bool[Tensor, "..."]:
    return torch.maximum(u.abs(), v.abs()) <= math.sqrt(0.5)


def _in_ellipse(u: Float[Tensor, "..."], v: Float[Tensor, "..."]) -> Bool[Tensor, "..."]:
    """Twice as wide as high."""
    return u.square() + (2 * v).square() <= 1


def _in_heart(u: Float[Tensor, "..."], v: Float[Tensor, "..."]) -> Bool[Tensor, "..."]:
    """A square on its corner, and a disc on each of its upper sides; about its centroid."""
    # Of a square with half diagonal 1, the centroid is this far above the square's centre.
    rise = (math.pi / 4 + 1 / 3) / (2 + math.pi / 2)
    half_diagonal = 1 / (1 + rise)
    side, up = u.abs() / half_diagonal, rise - v / half_diagonal
    return (side + up.abs() <= 1) | ((side - 0.5).square() + (up - 0.5).square() <= 0.5)
