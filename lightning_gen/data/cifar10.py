"""CIFAR-10."""

import tarfile
from functools import partial
from pathlib import Path
from typing import Unpack

import torch
from torchvision import datasets
from torchvision.datasets.utils import check_integrity, extract_archive

from lightning_gen.data.arguments import OfClasses
from lightning_gen.data.base import ImageDataModule
from lightning_gen.data.files import fetch, not_whole
from lightning_gen.data.sources import TensorSource
from lightning_gen.errors import UserError


class CIFAR10(ImageDataModule):
    """CIFAR-10 (Krizhevsky 2009): 50,000 + 10,000 RGB images of 32x32, ten classes.

    Args:
        root: folder that holds ``cifar-10-batches-py``, as torchvision lays it out.
        download: fetch and unpack the archive where files are missing or broken.
        batch_size: images a batch on each device.
        **shared: ``val_fraction``, ``images_on`` and ``train_classes`` of :class:`ImageDataModule`.
    """

    published = datasets.CIFAR10
    """torchvision's class, for its address and checksums."""

    image_shape = (3, 32, 32)
    class_names = (
        *("airplane", "automobile", "bird", "cat", "deer"),
        *("dog", "frog", "horse", "ship", "truck"),
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

        Raises:
            UserError: the archive did not come whole, or could not be unpacked.
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

    def load_train(self) -> TensorSource:
        """The 50,000 training images."""
        return self._read(train=True)

    def load_test(self) -> TensorSource:
        """The 10,000 test images."""
        return self._read(train=False)

    def _read(self, train: bool) -> TensorSource:
        broken = self._broken_file()
        if broken is not None:
            raise not_whole(broken, f"unpack {self.published.filename} in {self.root}")
        published = self.published(self.root, train=train)
        images = torch.from_numpy(published.data).permute(0, 3, 1, 2).contiguous()
        return TensorSource.of(images, torch.tensor(published.targets))

    def _broken_file(self) -> Path | None:
        """The first file that is missing or whose md5 is wrong."""
        folder = self.root / self.published.base_folder
        meta = [self.published.meta["filename"], self.published.meta["md5"]]
        files = [*self.published.train_list, *self.published.test_list, meta]
        md5s = {folder / name: md5 for name, md5 in files}
        return next((path for path, md5 in md5s.items() if not check_integrity(path, md5)), None)
