"""MNIST and its relatives: IDX files, read straight from their gzip archives, and a small one."""

import gzip
import hashlib
from abc import ABC
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import ClassVar, Unpack

import numpy as np
import torch
from torch import Tensor
from torchvision import datasets
from torchvision.datasets.utils import check_integrity

from lightning_gen.data.arguments import Shared
from lightning_gen.data.base import ImageDataModule
from lightning_gen.data.files import fetch, not_whole
from lightning_gen.data.sources import TensorSource


class IDXDataModule(ImageDataModule, ABC):
    """28x28 grey images in the four files and the folder layout of torchvision's MNIST.

    Args:
        root: folder that holds ``<dataset>/raw``, as torchvision lays it out.
        download: fetch missing files.
        **shared: those of :class:`ImageDataModule`.
    """

    image_shape = (1, 28, 28)
    published: ClassVar[type[datasets.MNIST]]
    """torchvision's class, for its addresses and checksums."""

    def __init__(self, root: str = "data", download: bool = True, **shared: Unpack[Shared]) -> None:
        super().__init__(**shared)
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
                fetch(self.folder / name, self.published.mirrors, partial(check_integrity, md5=md5))

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
        """The flat array of unsigned bytes in a file of the IDX format, packed or not."""
        path, names = self.folder / name, ", ".join(self.md5s)
        otherwise = f"put {names} (packed or not) into {self.folder}"
        if not path.is_file() and self._unpacked(name).is_file():
            path = self._unpacked(name)
        if not path.is_file():
            raise not_whole(path, otherwise)
        content = path.read_bytes()
        if path.suffix == ".gz":
            found = hashlib.md5(content, usedforsecurity=False).hexdigest()
            if found != self.md5s[name]:
                wrong = f": its md5 is {found}, expected {self.md5s[name]}"
                raise not_whole(path, otherwise, wrong)
            content = gzip.decompress(content)
        start = 4 + 4 * axes  # four bytes for the type and number of axes, four for each length
        if len(content) >= start and content[:4] == bytes([0, 0, 8, axes]):
            count = np.frombuffer(content[4:start], dtype=">i4").prod(dtype=np.int64)
            if len(content) == start + count:
                return torch.from_numpy(np.frombuffer(content, np.uint8, offset=start).copy())
        wrong = f": expected an IDX file of bytes with {axes} axes, whole"
        raise not_whole(path, otherwise, wrong)

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


class MiniFashionMNIST(ImageDataModule):
    """10,000 + 2,000 images of Fashion-MNIST: the first 1,000 and 200 of each class.

    It lies in the package: no download, no folder. Its arguments are those of
    :class:`ImageDataModule`.
    """

    image_shape = (1, 28, 28)
    class_names = FashionMNIST.class_names

    def load_train(self) -> TensorSource:
        """The 10,000 training images."""
        return self._read("train")

    def load_test(self) -> TensorSource:
        """The 2,000 test images."""
        return self._read("test")

    def _read(self, split: str) -> TensorSource:
        file = files("lightning_gen.data") / "mini_fashion_mnist.npz"
        with file.open("rb") as stream, np.load(stream) as arrays:
            images = torch.from_numpy(arrays[f"{split}_images"])
            labels = torch.from_numpy(arrays[f"{split}_labels"])
        return TensorSource.of(images[:, None], labels.long())
