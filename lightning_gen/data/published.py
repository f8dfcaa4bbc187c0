"""Published datasets in the files and folders of torchvision, and a small one in the package."""

import gzip
import hashlib
import tarfile
from abc import ABC
from collections.abc import Callable, Sequence
from functools import partial
from http.client import HTTPException
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar, Unpack

import numpy as np
import torch
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor
from torchvision import datasets
from torchvision.datasets.utils import check_integrity, download_url, extract_archive

from lightning_gen.contracts import DataInfo
from lightning_gen.data.base import ImageDataModule
from lightning_gen.data.interfaces import CommonArguments, OfClasses
from lightning_gen.data.loader import TensorSource
from lightning_gen.errors import UserError


class IDXDataModule(ImageDataModule, ABC):
    """28x28 grey images in the four files and the folder layout of torchvision's MNIST.

    Args:
        root: folder that holds ``<dataset>/raw``, as torchvision lays it out.
        download: fetch missing files.
        **shared: those of :class:`ImageDataModule`.
    """

    published: ClassVar[type[datasets.MNIST]]
    """torchvision's class, for its addresses and checksums."""

    def __init__(
        self, root: str = "data", download: bool = True, **shared: Unpack[CommonArguments]
    ) -> None:
        super().__init__(**shared)
        self.folder = Path(root).expanduser().absolute() / type(self).__name__ / "raw"
        self.md5s = dict(self.published.resources)
        self._download = download

    def prepare_data(self) -> None:
        """Fetch the files that are missing or broken, with progress; unpacked ones do as well.

        A UserError says that no mirror gave a whole file.
        """
        if self._download:
            packed = {n: md5 for n, md5 in self.md5s.items() if not self._unpacked(n).is_file()}
            for name, md5 in packed.items():
                fetch(self.folder / name, self.published.mirrors, partial(check_integrity, md5=md5))

    def load(self, split: str) -> TensorSource:
        """The 60,000 training images, or the 10,000 test images."""
        named = {"train": "train", "test": "t10k"}[split]
        images = self._array(f"{named}-images-idx3-ubyte.gz", axes=3)
        labels = self._array(f"{named}-labels-idx1-ubyte.gz", axes=1)
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
    sided = True
    info = DataInfo((1, 28, 28), tuple("0123456789"))


class FashionMNIST(IDXDataModule):
    """Fashion-MNIST (Xiao, Rasul & Vollgraf 2017): 60,000 + 10,000 grey images, ten classes."""

    published = datasets.FashionMNIST
    info = DataInfo((1, 28, 28), tuple(datasets.FashionMNIST.classes))


class MiniFashionMNIST(ImageDataModule):
    """10,000 + 2,000 images of Fashion-MNIST: the first 1,000 and 200 of each class.

    It lies in the package: no download, no folder. Its arguments are those of
    :class:`ImageDataModule`.
    """

    info = FashionMNIST.info

    def load(self, split: str) -> TensorSource:
        """The 10,000 training images, or the 2,000 test images."""
        file = files("lightning_gen.data") / "mini_fashion_mnist.npz"
        with file.open("rb") as stream, np.load(stream) as arrays:
            images = torch.from_numpy(arrays[f"{split}_images"])
            labels = torch.from_numpy(arrays[f"{split}_labels"])
        return TensorSource.of(images[:, None], labels.long())


class CIFAR10(ImageDataModule):
    """CIFAR-10 (Krizhevsky 2009): 50,000 + 10,000 RGB images of 32x32, ten classes.

    Args:
        root: folder that holds ``cifar-10-batches-py``, as torchvision lays it out.
        download: fetch and unpack the archive where files are missing or broken.
        batch_size: images a batch on each device.
        **shared: ``val_fraction``, ``images_on``, ``mirror`` and ``train_classes`` of
            :class:`ImageDataModule`.
    """

    published = datasets.CIFAR10
    """torchvision's class, for its address and checksums."""

    info = DataInfo(
        (3, 32, 32),
        ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
    )

    def __init__(
        self,
        root: str = "data",
        download: bool = True,
        batch_size: int = 128,
        **shared: Unpack[OfClasses],
    ) -> None:
        super().__init__(batch_size, binarize=None, **shared)
        self.root = Path(root).expanduser().absolute()
        self._download = download

    def prepare_data(self) -> None:
        """Fetch and unpack the archive, with progress, where files are missing or broken.

        A UserError says that the archive did not come whole, or could not be unpacked.
        """
        if not self._download or self._broken_file() is None:
            return
        archive = self.root / self.published.filename
        mirror = self.published.url.removesuffix(archive.name)
        fetch(archive, [mirror], partial(check_integrity, md5=self.published.tgz_md5))
        try:
            extract_archive(archive, self.root)
        except (OSError, EOFError, tarfile.TarError) as error:
            raise UserError(
                f"{archive} could not be unpacked ({error}). Free some space or unpack it yourself."
            ) from error

    def load(self, split: str) -> TensorSource:
        """The 50,000 training images, or the 10,000 test images."""
        broken = self._broken_file()
        if broken is not None:
            raise not_whole(broken, f"unpack {self.published.filename} in {self.root}")
        published = self.published(self.root, train=split == "train")
        images = torch.from_numpy(published.data).permute(0, 3, 1, 2).contiguous()
        return TensorSource.of(images, torch.tensor(published.targets))

    def _broken_file(self) -> Path | None:
        """The first file that is missing or whose md5 is wrong."""
        folder = self.root / self.published.base_folder
        meta = [self.published.meta["filename"], self.published.meta["md5"]]
        files = [*self.published.train_list, *self.published.test_list, meta]
        md5s = {folder / name: md5 for name, md5 in files}
        return next((path for path, md5 in md5s.items() if not check_integrity(path, md5)), None)


def not_whole(path: Path, otherwise: str, reason: str = "") -> UserError:
    """What to tell a user whose file of a published dataset is missing, or broken: ``reason``."""
    what = f"broken{reason}. Delete it and set" if path.exists() else "missing. Set"
    return UserError(f"{path} is {what} data.download true to fetch it, or {otherwise}.")


def fetch(path: Path, mirrors: Sequence[str], is_whole: Callable[[Path], bool]) -> None:
    """Download a file to ``path`` from the first mirror that gives it whole, with progress.

    A whole file that is already there is kept; a broken one stays until a whole one replaces it.
    The folders of ``path`` are made when a whole file has come.

    Args:
        path: where the file goes; its name is appended to each mirror.
        mirrors: addresses that end in a slash.
        is_whole: tells a whole file from a broken one.

    Raises:
        UserError: no mirror gave a whole file.
    """
    if path.is_file() and is_whole(path):
        return
    rank_zero_info(
        f"{path.absolute()} is {'broken' if path.exists() else 'not there'}: it is fetched. If you "
        "have it elsewhere, set data.root."
    )
    reasons = []
    for mirror in mirrors:
        try:
            existing = next(folder for folder in path.absolute().parents if folder.is_dir())
            with TemporaryDirectory(dir=existing, prefix=".download-") as folder:
                part = Path(folder) / path.name
                download_url(mirror + path.name, folder, path.name)
                if not is_whole(part):
                    size = part.stat().st_size
                    raise RuntimeError(f"{size} bytes came, and they are not the file")
                path.parent.mkdir(parents=True, exist_ok=True)
                part.replace(path)
            return
        except (RuntimeError, OSError, HTTPException) as error:
            reasons.append(" ".join(f"{mirror}: {error}".split()))
    raise UserError(
        f"{path.name} could not be downloaded whole ({'; '.join(reasons)}). "
        f"Check the network, or put the file at {path}."
    )
