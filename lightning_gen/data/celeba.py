"""CelebA."""

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Int8, Int64
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor

from lightning_gen.data.base import check_test_fraction
from lightning_gen.data.cache import AUTO
from lightning_gen.data.decoding import height_and_width
from lightning_gen.data.files import Files, FolderFiles, ZipFiles
from lightning_gen.data.image_folder import EncodedDataModule
from lightning_gen.data.sources import EncodedImages, ImagesOn
from lightning_gen.errors import UserError

IMAGES = "img_align_celeba"


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
        batch_size: images a batch on each device.
        val_fraction: share of the training images kept for validation where no official ones are
            there.
        test_fraction: share of all images kept for testing where no official ones are there.
        num_workers: processes that decode ahead where the images are neither cached nor in memory.
        cache: folder that the images are decoded into, once; "auto" is that of the user's caches,
            and None decodes at every start.
        images_on: "accelerator" or "cpu" holds decoded images there; "auto" holds them on a GPU if
            they take at most half of its free memory.
        class_attribute: the attribute that gives the two classes, such as "Smiling", which pictures
            colour by; None for one class.

    Raises:
        UserError: the images are missing, a file is broken, or an argument is out of its range.
    """

    def __init__(
        self,
        root: str = "data",
        image_size: int | tuple[int, int] = 64,
        batch_size: int = 64,
        val_fraction: float = 0.1,
        test_fraction: float = 0.1,
        num_workers: int = 4,
        cache: str | None = AUTO,
        images_on: ImagesOn = "auto",
        class_attribute: str | None = None,
    ) -> None:
        super().__init__(batch_size, val_fraction, num_workers, cache, images_on)
        check_test_fraction(test_fraction)
        self.image_shape = (3, *height_and_width(image_size))
        if class_attribute is not None:
            self.class_names = (f"not {class_attribute}", class_attribute)
        found = find_images(Path(root).expanduser())
        attributes = find_table(found.place, "list_attr_celeba")
        partition = find_table(found.place, "list_eval_partition")
        images = EncodedImages.of(found.files, found.names, self.image_shape)
        if attributes is not None:
            self.factor_names = attributes.columns
            self.factor_sizes = (2,) * len(attributes.columns)
            images = replace(images, factors=(attributes.of(found.names) > 0).long())
        if class_attribute is not None:
            images = replace(images, labels=images.factors[:, self._column(class_attribute)])
        splits = _official(found, partition)
        held = self.hold(images, splits, test_fraction)
        official = [] if partition is None else [*splits]
        drawn = [name for name in ("train", "val", "test") if name not in official]
        rank_zero_info(
            f"CelebA in {str(found.place)!r}: {len(images)} images, "
            f"{'no' if attributes is None else len(attributes.columns)} attributes, "
            f"official splits: {', '.join(official) or 'none'}, "
            f"random: {', '.join(drawn) or 'none'}; {held}."
        )

    def _column(self, attribute: str) -> int:
        if attribute not in self.factor_names:
            raise UserError(
                "data.class_attribute is an attribute of list_attr_celeba "
                f"({', '.join(self.factor_names) or 'which is not there'}), got {attribute!r}. "
                "Leave it out for one class."
            )
        return self.factor_names.index(attribute)


class Found(NamedTuple):
    """The aligned images: the folder or archive they are in, and their names there."""

    place: Path
    files: Files
    names: list[str]


def find_images(root: Path) -> Found:
    """The aligned images, in ``root`` or ``root`` itself: a folder or a zip archive.

    Raises:
        UserError: there are none, or the archive is broken.
    """
    for place in _image_places(root.absolute()):
        files = ZipFiles(place) if place.is_file() else FolderFiles(place)
        names = files.names() if place.exists() else []
        if names:
            return Found(place, files, names)
    raise UserError(
        f"CelebA is not at {str(root)!r}: expected there, or in its folder celeba, {IMAGES}.zip or "
        f"a folder {IMAGES} of JPEG files, beside list_attr_celeba.txt and "
        "list_eval_partition.txt. Fetch them from "
        "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html or set data.root."
    )


def _image_places(root: Path) -> Iterator[Path]:
    if root.is_file():
        yield root
    for folder in (root, root / "celeba", root / "Img"):
        yield from (folder / IMAGES, folder / f"{IMAGES}.zip")
    if any(root.glob("*.jpg")):
        yield root


class Table(NamedTuple):
    """A table of small whole numbers, one row an image.

    Attributes:
        path: the file.
        columns: names of the columns; empty where the file has none.
        rows: the row of each image, by its name without ending.
        values: the numbers.
    """

    path: Path
    columns: tuple[str, ...]
    rows: dict[str, int]
    values: Int8[Tensor, "rows columns"]

    def of(self, names: Sequence[str]) -> Int64[Tensor, "n columns"]:
        """The numbers of these images.

        Raises:
            UserError: one has no row.
        """
        keys = [PurePosixPath(name).stem for name in names]
        missing = [key for key in keys if key not in self.rows]
        if missing:
            raise UserError(
                f"{self.path} has no row for {len(missing)} of {len(keys)} images, the first is "
                f"{missing[0]!r}. Fetch the whole table again, or remove it."
            )
        return self.values[torch.tensor([self.rows[key] for key in keys])].long()


def find_table(place: Path, name: str) -> Table | None:
    """The table ``name`` (.txt or .csv) near the images; None where there is none.

    Raises:
        UserError: it is broken.
    """
    for folder in (place, place.parent, place.parent.parent):
        for subfolder in (".", "celeba", "Anno", "Eval"):
            for ending in (".txt", ".csv"):
                path = folder / subfolder / f"{name}{ending}"
                if path.is_file():
                    return _read_table(path)
    return None


def _read_table(path: Path) -> Table:
    columns: tuple[str, ...] = ()
    rows: dict[str, int] = {}
    values = array("b")
    with path.open(encoding="utf-8-sig", errors="replace") as lines:
        for line in lines:
            cells = line.replace(",", " ").split() or [""]
            if not cells[0].lower().endswith((".jpg", ".png")):
                # Before the rows come the names; in the text files, a count comes before these.
                columns = columns if rows else tuple(name for name in cells if name != "image_id")
                continue
            width = len(columns) or 1
            rows[PurePosixPath(cells[0]).stem] = len(values) // width
            numbers = [int(cell) for cell in cells[1:] if cell in ("-1", "0", "1", "2")]
            if len(numbers) != width or len(cells) != width + 1:
                raise _broken(path, width)
            values.extend(numbers)
    if not rows:
        raise _broken(path, len(columns) or 1)
    table = np.frombuffer(values, dtype=np.int8).reshape(-1, len(columns) or 1)
    return Table(path, columns, rows, torch.from_numpy(table))


def _broken(path: Path, width: int) -> UserError:
    return UserError(
        f"{path} is broken: expected a row for each image, its name and {width} numbers. Fetch it "
        "again, or remove it."
    )


def _official(found: Found, partition: Table | None) -> dict[str, Tensor]:
    """Positions of the images in each official split that has some; all to train without one."""
    if partition is None:
        return {"train": torch.arange(len(found.names))}
    numbers = partition.of(found.names)[:, 0]
    splits = {
        split: (numbers == number).nonzero()[:, 0]
        for number, split in enumerate(("train", "val", "test"))
    }
    if len(splits["train"]) == 0:
        raise UserError(
            f"{partition.path} puts none of the {len(numbers)} images found in {found.place} into "
            "the training split (0). Add images, or remove the table to split at random."
        )
    return {split: positions for split, positions in splits.items() if len(positions) > 0}
