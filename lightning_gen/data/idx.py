"""The IDX files of MNIST and its relatives, read straight from their gzip archives."""

import gzip
import hashlib
from abc import ABC
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torchvision import datasets

from lightning_gen.data.base import Binarize, ImageDataModule
from lightning_gen.data.files import fetch, has_md5
from lightning_gen.data.sources import ImagesOn, TensorSource
from lightning_gen.errors import UserError


class IDXDataModule(ImageDataModule, ABC):
    """28x28 grey images in the four files and the folder layout of torchvision's MNIST.

    Args:
        root: folder that holds ``<dataset>/raw``, as torchvision lays it out.
        download: fetch missing files.
        batch_size: images a batch on each device.
        val_fraction: share of the training images kept for validation.
        binarize: "static", "dynamic" (Burda et al. 2016) or none. Only binary images make a
            Bernoulli likelihood a likelihood.
        train_classes: names of the classes that are trained and validated on; None takes all. The
            test split keeps every class.
        images_on: "accelerator" or "cpu" holds the images there; "auto" holds them on a GPU if they
            take at most half of its free memory.
    """

    image_shape = (1, 28, 28)
    published: ClassVar[type[datasets.MNIST]]
    """torchvision's class, for its addresses and checksums."""

    def __init__(
        self,
        root: str = "data",
        download: bool = True,
        batch_size: int = 128,
        val_fraction: float = 0.1,
        binarize: Binarize | None = None,
        train_classes: tuple[str, ...] | None = None,
        images_on: ImagesOn = "auto",
    ) -> None:
        super().__init__(batch_size, val_fraction, binarize, train_classes, images_on)
        self.folder = Path(root).expanduser().absolute() / type(self).__name__ / "raw"
        self.md5s = dict(self.published.resources)
        self._download = download

    def prepare_data(self) -> None:
        """Fetch the files that are missing or broken, with progress; unpacked ones do as well.

        Raises:
            UserError: no mirror gave a whole file.
        """
        if self._download:
            packed = {n: md5 for n, md5 in self.md5s.items() if not self._unpacked(n).is_file()}
            for name, md5 in packed.items():
                fetch(self.folder / name, self.published.mirrors, has_md5(md5))

    def load_train(self) -> TensorSource:
        """The 60,000 training images."""
        return self._read("train")

    def load_test(self) -> TensorSource:
        """The 10,000 test images."""
        return self._read("t10k")

    def _read(self, split: str) -> TensorSource:
        images = self._array(f"{split}-images-idx3-ubyte.gz", axes=3)
        labels = self._array(f"{split}-labels-idx1-ubyte.gz", axes=1)
        return TensorSource.of(images.view(-1, *self.image_shape), labels.long())

    def _array(self, name: str, axes: int) -> Tensor:
        path, unpacked = self.folder / name, self._unpacked(name)
        if unpacked.is_file() and not path.is_file():
            return _read_idx(unpacked.read_bytes(), unpacked, axes)
        if not path.is_file():
            raise UserError(
                f"{path} is missing. Set data.download true to fetch it, "
                f"or put {', '.join(self.md5s)} (packed or not) into {self.folder}."
            )
        content = path.read_bytes()
        found = hashlib.md5(content, usedforsecurity=False).hexdigest()
        if found != self.md5s[name]:
            raise UserError(
                f"{path} is broken: its md5 is {found}, expected {self.md5s[name]}. "
                "Delete it and set data.download true to fetch it again."
            )
        return _read_idx(gzip.decompress(content), path, axes)

    def _unpacked(self, name: str) -> Path:
        return self.folder / name.removesuffix(".gz")


class MNIST(IDXDataModule):
    """MNIST (LeCun, Cortes & Burges): 60,000 + 10,000 grey images of 28x28, ten digits."""

    published = datasets.MNIST
    class_names = ("0", "1", "2", "3", "4", "5", "6", "7", "8", "9")


class FashionMNIST(IDXDataModule):
    """Fashion-MNIST (Xiao, Rasul & Vollgraf 2017): 60,000 + 10,000 grey images, ten classes."""

    published = datasets.FashionMNIST
    class_names = tuple(datasets.FashionMNIST.classes)


def _read_idx(content: bytes, path: Path, axes: int) -> Tensor:
    """The flat array of unsigned bytes in a file of the IDX format.

    Raises:
        UserError: it is no such file, or not whole.
    """
    start = 4 + 4 * axes  # four bytes for the type and number of axes, four for each length
    if len(content) >= start and content[:4] == bytes([0, 0, 8, axes]):
        count = np.frombuffer(content[4:start], dtype=">i4").prod(dtype=np.int64)
        if len(content) == start + count:
            return torch.from_numpy(np.frombuffer(content, dtype=np.uint8, offset=start).copy())
    raise UserError(
        f"{path} is broken: expected an IDX file of bytes with {axes} axes, whole. Delete it and "
        "set data.download true to fetch it again."
    )
