"""dSprites."""

import zlib
from functools import cached_property
from pathlib import Path
from typing import Unpack
from zipfile import BadZipFile, ZipFile, is_zipfile

import numpy as np
import torch
from jaxtyping import Int, UInt8
from numpy.lib import format as npy
from torch import Tensor

from lightning_gen.contracts import Batch
from lightning_gen.data.interfaces import Tested
from lightning_gen.data.published import fetch, not_whole
from lightning_gen.data.shapes import FACTORS, SIZE, Shapes, index_of
from lightning_gen.progress import progress

FILE = "dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz"
MIRRORS = (
    "https://github.com/google-deepmind/dsprites-dataset/raw/master/",
    "https://raw.githubusercontent.com/google-deepmind/dsprites-dataset/master/",
)
PART = 4096
"""Images that are unpacked at a time while the file is read: 16 MiB."""


class DSprites(Shapes):
    """dSprites (Matthey et al. 2017): 737,280 binary images of 64x64, and the factors of each.

    The factors are shape (square, ellipse, heart), scale, orientation, x and y; the constant
    colour is left out. The pixels are held in memory as bits, 377 MB. No checksum is published:
    a file is believed where its zip archive is whole and holds arrays of the right shapes.

    Args:
        root: folder that holds ``dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz``.
        download: fetch the file (27 MB) where it is missing.
        **shared: those of :class:`Shapes`.
    """

    def __init__(self, root: str = "data", download: bool = True, **shared: Unpack[Tested]) -> None:
        super().__init__(num_workers=0, **shared)
        self.path = Path(root).expanduser().absolute() / FILE
        self._download = download

    def prepare_data(self) -> None:
        """Fetch the file, with progress, where it is missing or broken.

        A UserError says that no mirror gave a whole file.
        """
        if self._download:
            fetch(self.path, MIRRORS, is_zipfile)

    @cached_property
    def _images(self) -> "PackedImages":
        try:
            return read_archive(self.path)
        except (BadZipFile, zlib.error, OSError, EOFError, KeyError, ValueError) as error:
            otherwise = f"put {FILE} of https://github.com/google-deepmind/dsprites-dataset there"
            reason = f": it is not the dSprites file ({error})"
            raise not_whole(self.path, otherwise, reason) from error

    @cached_property
    def _alike(self) -> Tensor:
        """The group of each image: the last orientation is a whole turn."""
        factors = self._images.factors.clone()
        factors[:, 2] %= FACTORS["orientation"] - 1
        return index_of(factors)


class PackedImages:
    """A source of binary images, held as bits and unpacked a batch at a time.

    Args:
        bits: eight pixels a byte, row by row.
        factors: the factors of each image; the first is its class.
    """

    def __init__(self, bits: UInt8[Tensor, "n b"], factors: Int[Tensor, "n 5"]) -> None:
        self.bits = bits
        self.factors = factors
        every_byte = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1)
        self._pixels_of_byte = torch.from_numpy(255 * every_byte).to(bits.device)

    def __len__(self) -> int:
        return len(self.bits)

    def __getitem__(self, indices: Tensor) -> Batch:
        content = self.bits.index_select(0, indices).flatten().int()
        images = self._pixels_of_byte.index_select(0, content).view(-1, 1, SIZE, SIZE)
        factors = self.factors.index_select(0, indices)
        return Batch(images, factors[:, 0], factors)

    @property
    def device(self) -> torch.device:
        """Where the bits are."""
        return self.bits.device

    @property
    def num_bytes(self) -> int:
        """Memory that the bits and the factors take."""
        return self.bits.nbytes + self.factors.nbytes

    def to(self, device: torch.device) -> "PackedImages":
        """The same images on another device."""
        return PackedImages(self.bits.to(device), self.factors.to(device))


def read_archive(path: Path) -> PackedImages:
    """The images and their five varying factors, in little more memory than the result takes.

    Nothing is unpickled: of the archive's members only two arrays of numbers are read.

    Raises:
        ValueError: an array is not what dSprites holds.
        BadZipFile, zlib.error, OSError, EOFError, KeyError: the archive is broken.
    """
    with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        classes = arrays["latents_classes"]
    sizes = (1, *FACTORS.values())  # the first is the colour, which is always white
    numbers = classes.dtype.kind in "iu" and classes.shape[1:] == (len(sizes),)
    if not numbers or ((classes < 0) | (classes >= sizes)).any():
        raise ValueError(f"latents_classes are not [N, 6] numbers below {sizes}")
    bits = np.empty((len(classes), SIZE * SIZE // 8), dtype=np.uint8)
    with (
        ZipFile(path) as archive,
        archive.open("imgs.npy") as stream,
        progress(len(bits), "reading dSprites") as bar,
    ):
        npy.read_magic(stream)
        shape, column_major, dtype = npy.read_array_header_1_0(stream)
        expected = (len(bits), SIZE, SIZE)
        if shape != expected or column_major or dtype != np.uint8:
            raise ValueError(f"imgs are {dtype} {shape}, expected uint8 {expected}")
        for start in range(0, len(bits), PART):
            part = bits[start : start + PART]
            content = stream.read(len(part) * SIZE * SIZE)
            pixels = np.frombuffer(content, dtype=np.uint8).reshape(len(part), -1)
            part[:] = np.packbits(pixels, axis=1)
            bar.update(len(part))
    factors = torch.from_numpy(classes[:, 1:].astype(np.int64))
    return PackedImages(torch.from_numpy(bits), factors)
