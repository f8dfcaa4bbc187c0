"""CelebA."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import product
from pathlib import Path, PurePosixPath
from typing import NamedTuple, Unpack

import numpy as np
import torch
from jaxtyping import Int8, Int64
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor

from lightning_gen.data.arguments import expect
from lightning_gen.data.decoding import height_and_width
from lightning_gen.data.encoded import EncodedDataModule, EncodedShared
from lightning_gen.data.files import Files, FolderFiles, ZipFiles, is_image_name
from lightning_gen.data.sources import EncodedImages
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
        self.image_shape = (3, *height_and_width(image_size))
        if class_attribute is not None:
            self.class_names = (f"not {class_attribute}", class_attribute)
        super().__init__(train_classes=None, **shared)
        files, names = find_images(Path(root).expanduser())
        attributes = Table.find(files.place, "list_attr_celeba")
        official = official_splits(
            files.place, names, Table.find(files.place, "list_eval_partition")
        )
        images = EncodedImages.of(files, names, self.image_shape)
        if attributes is not None:
            self.factor_names = attributes.columns
            self.factor_sizes = (2,) * len(attributes.columns)
            images = replace(images, factors=(attributes.of(names) > 0).long())
        if class_attribute is not None:
            known = ", ".join(self.factor_names) or "which is not there"
            what = f"an attribute of list_attr_celeba ({known})"
            holds, got = class_attribute in self.factor_names, repr(class_attribute)
            expect(holds, "class_attribute", what, got, "Leave it out for one class.")
            column = self.factor_names.index(class_attribute)
            images = replace(images, labels=images.factors[:, column])
        held = self.hold(images, official or {"train": torch.arange(len(images))})
        drawn = [name for name in ("train", "val", "test") if name not in official]
        rank_zero_info(
            f"CelebA in {str(files.place)!r}: {len(images)} images, "
            f"{len(self.factor_names) or 'no'} attributes, "
            f"official splits: {', '.join(official) or 'none'}, "
            f"random: {', '.join(drawn) or 'none'}; {held}."
        )


def find_images(root: Path) -> tuple[Files, list[str]]:
    """The aligned images, in ``root`` or ``root`` itself: a folder or a zip archive, and names.

    Raises:
        UserError: there are none, or the archive is broken.
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

    @classmethod
    def find(cls, place: Path, name: str) -> "Table | None":
        """The table ``name`` (.txt or .csv) near the images; None where there is none.

        Raises:
            UserError: it is broken.
        """
        folders = (place, place.parent, place.parent.parent)
        for folder, inner in product(folders, (".", "celeba", "Anno", "Eval")):
            for path in (folder / inner / f"{name}.txt", folder / inner / f"{name}.csv"):
                if path.is_file():
                    return cls.read(path)
        return None

    @classmethod
    def read(cls, path: Path) -> "Table":
        """The table in a file.

        Raises:
            UserError: it is broken.
        """
        text = path.read_text(encoding="utf-8-sig", errors="replace").replace(",", " ")
        cells = [line.split(maxsplit=1) for line in text.splitlines() if line.strip()]
        first = next((n for n, (name, *_) in enumerate(cells) if is_image_name(name)), len(cells))
        # Before the rows come the names; in the text files, a count comes before these.
        header = " ".join(cells[first - 1]).split() if cells and first else []
        columns = tuple(name for name in header if name != "image_id")
        width = len(columns) or 1
        numbers = [" ".join(rest) for _, *rest in cells[first:]]
        values = np.empty((0, 0), dtype=np.int8)
        with suppress(ValueError):
            values = np.loadtxt(numbers or ["no row"], dtype=np.int8, comments=None, ndmin=2)
        if values.shape != (len(numbers), width) or abs(values).max() > 2:
            raise UserError(
                f"{path} is broken: expected a row for each image, its name and {width} numbers. "
                "Fetch it again, or remove it."
            )
        rows = {PurePosixPath(name).stem: row for row, (name, _) in enumerate(cells[first:])}
        return cls(path, columns, rows, torch.from_numpy(values))

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


def official_splits(place: Path, names: Sequence[str], table: Table | None) -> dict[str, Tensor]:
    """Positions of the images in each official split that has some; none without a table."""
    if table is None:
        return {}
    numbers = table.of(names)[:, 0]
    splits = {
        split: (numbers == number).nonzero()[:, 0]
        for number, split in enumerate(("train", "val", "test"))
    }
    if len(splits["train"]) == 0:
        raise UserError(
            f"{table.path} puts none of the {len(numbers)} images found in {place} into "
            "the training split (0). Add images, or remove the table to split at random."
        )
    return {split: positions for split, positions in splits.items() if len(positions) > 0}
