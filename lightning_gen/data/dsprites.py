"""dSprites."""

import zlib
from functools import cached_property
from pathlib import Path
from zipfile import BadZipFile, is_zipfile

from torch import Tensor

from lightning_gen.data.base import ImageDataModule
from lightning_gen.data.download import fetch
from lightning_gen.data.dsprites_file import PackedImages, read_archive
from lightning_gen.data.shapes import FACTORS, SIZE, Shapes, index_of
from lightning_gen.data.sources import ImagesOn, Source, Subset
from lightning_gen.data.splits import Cut, check_test_fraction, cut_groups
from lightning_gen.errors import UserError

FILE = "dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz"
MIRRORS = (
    "https://github.com/google-deepmind/dsprites-dataset/raw/master/",
    "https://raw.githubusercontent.com/google-deepmind/dsprites-dataset/master/",
)


class DSprites(ImageDataModule):
    """dSprites (Matthey et al. 2017): 737,280 binary images of 64x64, and the factors of each.

    The factors are shape (square, ellipse, heart), scale, orientation, x and y; the constant
    colour is left out. The pixels are held in memory as bits, 377 MB. No checksum is published:
    a file is believed where its zip archive is whole and holds arrays of the right shapes.

    Args:
        root: folder that holds ``dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz``.
        download: fetch the file (27 MB) where it is missing.
        batch_size: images a batch on each device.
        val_fraction: share of the training images kept for validation.
        test_fraction: share of all images kept for testing.
        images_on: "accelerator" or "cpu" holds the images there; "auto" holds them on a GPU if they
            take at most half of its free memory.
    """

    class_names = Shapes.class_names
    factor_names = Shapes.factor_names
    factor_sizes = Shapes.factor_sizes

    def __init__(
        self,
        root: str = "data",
        download: bool = True,
        batch_size: int = 64,
        val_fraction: float = 0.1,
        test_fraction: float = 0.1,
        images_on: ImagesOn = "auto",
    ) -> None:
        super().__init__(batch_size, val_fraction, images_on=images_on)
        check_test_fraction(test_fraction)
        self.image_shape = (1, SIZE, SIZE)
        self.path = Path(root).expanduser().absolute() / FILE
        self._download = download
        self._test_fraction = test_fraction

    def prepare_data(self) -> None:
        """Fetch the file, with progress, where it is missing or broken.

        Raises:
            UserError: no mirror gave a whole file.
        """
        if self._download:
            fetch(self.path, MIRRORS, is_zipfile)

    def load_train(self) -> Subset:
        """The training images, those for validation included."""
        return Subset(self._images, self._cut.kept)

    def load_test(self) -> Subset:
        """The test images."""
        return Subset(self._images, self._cut.held_out)

    def groups(self, train: Source) -> Tensor:
        """Images that look the same are of one group."""
        return self._alike[self._cut.kept]

    @cached_property
    def _images(self) -> PackedImages:
        if not self.path.is_file():
            raise UserError(
                f"{self.path} is missing. Set data.download true to fetch it, or put {FILE} of "
                "https://github.com/google-deepmind/dsprites-dataset there."
            )
        try:
            return read_archive(self.path)
        except (BadZipFile, zlib.error, OSError, EOFError, KeyError, ValueError) as error:
            raise UserError(
                f"{self.path} is not the dSprites file ({error}). Delete it and set data.download "
                "true to fetch it again."
            ) from error

    @cached_property
    def _cut(self) -> Cut:
        return cut_groups(self._alike, self._test_fraction, "data.test_fraction")

    @property
    def _alike(self) -> Tensor:
        """The number of each image's group: the last orientation is a whole turn."""
        factors = self._images.factors.clone()
        factors[:, 2] %= FACTORS["orientation"] - 1
        return index_of(factors)
