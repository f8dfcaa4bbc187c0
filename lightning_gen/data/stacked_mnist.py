"""Stacked MNIST: several digits an image, whose classes are the modes that a model may lose."""

from typing import Unpack

import torch

from lightning_gen.contracts import DataInfo, ImageShape
from lightning_gen.data.base import ImageDataModule, cut, expect
from lightning_gen.data.interfaces import CommonArguments
from lightning_gen.data.loader import TensorSource
from lightning_gen.data.published import MNIST
from lightning_gen.errors import check_whole

SHAPES: dict[int, ImageShape] = {2: (1, 28, 56), 3: (3, 28, 28)}
"""Of an image by its number of digits: two would be no colours, so they stand side by side."""
SEEDS = {"train": 0, "val": 1, "test": 2}


class StackedMNIST(ImageDataModule):
    """Digits of MNIST three at a time: 1,000 classes, the modes of which a GAN may lose most.

    Metz et al. 2017 (arXiv:1611.02163) and Srivastava et al. 2017 (VEEGAN, arXiv:1705.07761). Three
    digits are the red, the green and the blue channel of an image of 28x28; two stand side by side
    in a grey image of 28x56, of 100 classes. The class is the number that they write, as "042".

    Each digit of an image is drawn at random, with replacement, from the digits of its split; the
    draws have fixed seeds, so that every run has the same images. ``val_fraction`` of the 60,000
    training digits of MNIST is set aside: validation images are made of those alone, training
    images of the others, and 10,000 test images of MNIST's test digits. The classes are as uneven
    as MNIST's digits: 0.004 nats from uniform ones. Which of them samples have is what
    :class:`~lightning_gen.callbacks.ModeCoverage` counts.

    Args:
        digits: in an image, 2 or 3.
        num_images: to train and validate on; held in memory, 2,352 bytes each of three digits.
        root: folder that holds ``MNIST/raw``, as torchvision lays it out.
        download: fetch missing files.
        **shared: those of :class:`ImageDataModule`.
    """

    sided = True

    def __init__(
        self,
        digits: int = 3,
        num_images: int = 60_000,
        root: str = "data",
        download: bool = True,
        **shared: Unpack[CommonArguments],
    ) -> None:
        expect(digits in SHAPES, "digits", "2 or 3", digits, "Set it to 3.")
        check_whole("data.num_images", num_images, 2)
        names = tuple(f"{number:0{digits}}" for number in range(10**digits))
        self.info = DataInfo(SHAPES[digits], names)
        super().__init__(**shared)
        self._digits = digits
        self._num_images = num_images
        self._mnist = MNIST(root, download)

    def prepare_data(self) -> None:
        """Fetch the files of MNIST that are missing or broken, with progress.

        A UserError says that no mirror gave a whole file.
        """
        self._mnist.prepare_data()

    def load(self, split: str) -> TensorSource:
        """The images of "train", "val" or "test", none of which share a digit."""
        source = self._mnist.load("test" if split == "test" else "train")
        if split == "test":
            return self._stacked(source, len(source), split)
        kept, held_out = cut(torch.arange(len(source)), self.val_fraction, "data.val_fraction")
        num_held_out = round(self.val_fraction * self._num_images)
        if split == "val":
            return self._stacked(source.subset(held_out), num_held_out, split)
        return self._stacked(source.subset(kept), self._num_images - num_held_out, split)

    def load_val(self) -> TensorSource | None:
        """The images of digits that were set aside."""
        return self.load("val") if self.val_fraction > 0 else None

    def _stacked(self, source: TensorSource, count: int, split: str) -> TensorSource:
        """``count`` images of digits drawn from ``source``."""
        generator = torch.Generator().manual_seed(SEEDS[split])
        drawn = torch.randint(len(source), (count, self._digits), generator=generator)
        images = source.images.index_select(0, drawn.flatten()).view(count, self._digits, 28, 28)
        if self._digits == 2:
            images = images.transpose(1, 2).reshape(count, *self.image_shape)
        powers = 10 ** torch.arange(self._digits).flip(0)
        return TensorSource.of(images, (source.labels[drawn] * powers).sum(dim=1))
