"""CelebA."""

import os
from collections.abc import Sequence
from contextlib import suppress
from io import BytesIO
from itertools import product
from pathlib import Path, PurePosixPath
from typing import Any, Unpack
from zipfile import BadZipFile, ZipFile

import numpy as np
import torch
from jaxtyping import Int8
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor

from lightning_gen.contracts import DataInfo
from lightning_gen.data.base import expect
from lightning_gen.data.cache import EncodedImages
from lightning_gen.data.decoding import (
    FolderFiles,
    Stream,
    digest,
    is_image_name,
    size_and_time,
)
from lightning_gen.data.image_folder import EncodedDataModule, height_and_width
from lightning_gen.data.interfaces import EncodedShared
from lightning_gen.errors import UserError

IMAGES = "img_align_celeba"
MOST_BYTES = 2**28
"""A larger member of an archive is not read."""


class CelebA(EncodedDataModule):
    """CelebA (Liu et al. 2015): 202,599 aligned faces of 178x218, with 40 attributes as factors.

    Read without unpacking from ``img_align_celeba.zip``, or from a folder of that name; the layouts
    of torchvision, of Kaggle (tables as .csv) and of the authors are known. Without
    ``list_attr_celeba`` there are no factors. Without ``list_eval_partition`` the official splits
    are replaced by random ones, the same each time. The whole image is used: resized so that it
    just covers ``image_size``, then cropped around its centre (128 keeps all 178 columns and the
    middle 178 of the 218 rows). The images are decoded once, into a cache on disk, and read from it
    ever after; up to 1 GiB of pixels are held in memory.

    Args:
        root: what holds the images and tables, or a folder ``celeba`` that does; or the archive.
        image_size: [height, width] in pixels, or one number for both; at least 8.
        class_attribute: the attribute that gives the two classes, such as "Smiling", which pictures
            colour by; None for one class.
        **shared: those of :class:`EncodedDataModule`.

    Raises:
        UserError: the images are missing, a file is broken, or an argument is out of its range.
    """

    def __init__(
        self,
        root: str = "data",
        image_size: int | tuple[int, int] = 64,
        class_attribute: str | None = None,
        **shared: Unpack[EncodedShared],
    ) -> None:
        shape = (3, *height_and_width(image_size))
        files, names = find_images(Path(root).expanduser())
        attributes, signs = read_table("list_attr_celeba", files.place, names)
        official = official_splits(files.place, names)
        factors = (signs > 0).long()
        labels = torch.zeros(len(names), dtype=torch.int64)
        classes: tuple[str, ...] = ("image",)
        if class_attribute is not None:
            known = ", ".join(attributes) or "which is not there"
            what = f"an attribute of list_attr_celeba ({known})"
            holds, got = class_attribute in attributes, repr(class_attribute)
            expect(holds, "class_attribute", what, got, "Leave it out for one class.")
            labels = factors[:, attributes.index(class_attribute)]
            classes = (f"not {class_attribute}", class_attribute)
        self.info = DataInfo(shape, classes, attributes, (2,) * len(attributes))
        super().__init__(train_classes=None, **shared)
        images = EncodedImages(files, names, shape, labels, factors)
        held = self.hold(images, official or {"train": torch.arange(len(images))})
        drawn = [name for name in ("train", "val", "test") if name not in official]
        rank_zero_info(
            f"CelebA in {str(files.place)!r}: {len(images)} images, "
            f"{len(attributes) or 'no'} attributes, "
            f"official splits: {', '.join(official) or 'none'}, "
            f"random: {', '.join(drawn) or 'none'}; {held}."
        )


def find_images(root: Path) -> tuple[FolderFiles, list[str]]:
    """The aligned images, in ``root`` or ``root`` itself: a folder or a zip archive, and names.

    A UserError says that there are none, or the archive is broken.
    """
    top = root.absolute()
    folders = (top, top / "celeba", top / "Img")
    places = [folder / name for folder in folders for name in (IMAGES, f"{IMAGES}.zip")]
    if top.is_file():
        places = [top]
    elif any(top.glob("*.jpg")):
        places.append(top)
    for place in filter(Path.exists, places):
        files = ZipFiles(place) if place.is_file() else FolderFiles(place)
        if names := files.names():
            return files, names
    raise UserError(
        f"CelebA is not at {str(root)!r}: expected there, or in its folder celeba, {IMAGES}.zip or "
        f"a folder {IMAGES} of JPEG files, beside list_attr_celeba.txt and "
        "list_eval_partition.txt. Fetch them from "
        "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html or set data.root."
    )


def read_table(
    title: str, place: Path, names: Sequence[str]
) -> tuple[tuple[str, ...], Int8[Tensor, "n columns"]]:
    """The columns of the table ``title`` (.txt or .csv) near ``place``, and the rows of images.

    The columns have no names where the file has none. Without a table there are no columns. A
    UserError says that the table is broken, or has no row for an image.
    """
    folders = (place, place.parent, place.parent.parent)
    near = product(folders, (".", "celeba", "Anno", "Eval"), ("txt", "csv"))
    paths = (folder / inner / f"{title}.{ending}" for folder, inner, ending in near)
    path = next(filter(Path.is_file, paths), None)
    if path is None:
        return (), torch.empty(len(names), 0, dtype=torch.int8)
    text = path.read_text(encoding="utf-8-sig", errors="replace").replace(",", " ")
    cells = [line.split(maxsplit=1) for line in text.splitlines() if line.strip()]
    first = next((n for n, (name, *_) in enumerate(cells) if is_image_name(name)), len(cells))
    # Before the rows come the names; in the text files, a count comes before these.
    header = " ".join(cells[first - 1]).split() if cells and first else []
    columns = tuple(name for name in header if name != "image_id")
    numbers = [" ".join(rest) for _, *rest in cells[first:]]
    values = np.empty((0, 0), dtype=np.int8)
    with suppress(ValueError):
        values = np.loadtxt(numbers or ["no row"], dtype=np.int8, comments=None, ndmin=2)
    width = len(columns) or 1
    if values.shape != (len(numbers), width) or abs(values).max() > 2:
        raise UserError(
            f"{path} is broken: expected a row for each image, its name and {width} numbers. "
            "Fetch it again, or remove it."
        )
    rows = {PurePosixPath(name).stem: row for row, (name, _) in enumerate(cells[first:])}
    keys = [PurePosixPath(name).stem for name in names]
    missing = [key for key in keys if key not in rows]
    if missing:
        raise UserError(
            f"{path} has no row for {len(missing)} of {len(keys)} images, the first is "
            f"{missing[0]!r}. Fetch the whole table again, or remove it."
        )
    return columns, torch.from_numpy(values)[[rows[key] for key in keys]]


def official_splits(place: Path, names: Sequence[str]) -> dict[str, Tensor]:
    """Positions of the images in each official split that has some; none without a table."""
    _, values = read_table("list_eval_partition", place, names)
    if values.shape[1] == 0:
        return {}
    found = {
        split: (values[:, 0] == number).nonzero()[:, 0]
        for number, split in enumerate(("train", "val", "test"))
    }
    if len(found["train"]) == 0:
        raise UserError(
            f"list_eval_partition puts none of the {len(names)} images found in {place} into "
            "the training split (0). Add images, or remove the table to split at random."
        )
    return {split: positions for split, positions in found.items() if len(positions) > 0}


class ZipFiles(FolderFiles):
    """The files inside a zip archive, which is read like a folder and not unpacked.

    Each process opens the archive for itself, when it first reads.
    """

    def __init__(self, place: Path) -> None:
        super().__init__(place)
        self._opened: tuple[int, ZipFile] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {"place": self.place, "_opened": None}

    def state(self, names: Sequence[str]) -> str:
        """A digest of the names, and of the archive's size and time of change."""
        return digest([*size_and_time(self.place), *names])

    def names(self) -> list[str]:
        """Names of the members that are images, sorted; a UserError where the archive is broken."""
        try:
            return sorted(filter(is_image_name, self._archive().namelist()))
        except (BadZipFile, OSError, NotImplementedError) as error:
            raise UserError(
                f"{self.place} is no whole zip archive ({error}). Delete it and fetch it again."
            ) from error

    def open(self, name: str) -> Stream:
        """The content of a member, its checksum verified.

        A ValueError says that it is larger than any image, as a decompression bomb is.
        """
        member = self._archive().getinfo(name)
        if member.file_size > MOST_BYTES:
            raise ValueError(f"{member.file_size:,} bytes are more than {MOST_BYTES:,}")
        return BytesIO(self._archive().read(member))

    def _archive(self) -> ZipFile:
        process = os.getpid()
        if self._opened is None or self._opened[0] != process:
            self._opened = (process, ZipFile(self.place))
        return self._opened[1]
