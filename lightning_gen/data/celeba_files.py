"""Where CelebA's files lie, in the layouts that people have, and what its tables hold."""

from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Int8, Int64
from torch import Tensor

from lightning_gen.data.files import Files, FolderFiles, ZipFiles
from lightning_gen.errors import UserError

IMAGES = "img_align_celeba"


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
