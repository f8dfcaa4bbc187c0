"""Where images and codes of a finished run go: one page, a folder of PNGs, or a table of arrays."""

import csv
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePosixPath
from typing import TextIO

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lightning_gen.atomic import draft, write_png
from lightning_gen.contracts import NO_CLASS, Images
from lightning_gen.errors import UserError
from lightning_gen.figures import Pixels, image_grid, image_rows
from lightning_gen.runs.arrays import GrowingArrays

GRID = 64
"""Images on a page, unless the user asks for more."""


class Output(ABC):
    """Takes results batch by batch.

    Attributes:
        default_count: how many images are wanted where the user does not say; None is all.
    """

    default_count: int | None = None

    @abstractmethod
    def add(self, names: Sequence[str], rows: dict[str, Images], **arrays: Tensor) -> None:
        """Take a batch: its images, of which the last row is the result, and what else is known."""

    def add_rows(self, rows: dict[str, Images], what: str) -> None:
        """Take rows that belong together; an image is called ``<row>/<number>``."""
        for label, images in rows.items():
            names = [f"{label}/{number:05}".lstrip("/") for number in range(len(images))]
            self.add(names, {what: images})

    @abstractmethod
    def finish(self) -> None:
        """Write what is left to be written."""


class Page(Output):
    """One PNG: a square of images, or a row under each label where there are several.

    Args:
        path: the file.
        title: the line above.
    """

    default_count = GRID

    def __init__(self, path: Path, title: str) -> None:
        self._path = path
        self._title = title
        self._rows: dict[str, list[Images]] = {}

    def add(self, names: Sequence[str], rows: dict[str, Images], **arrays: Tensor) -> None:
        """Keep the images."""
        for label, images in rows.items():
            self._rows.setdefault(label, []).append(images.cpu())

    def add_rows(self, rows: dict[str, Images], what: str) -> None:
        """Keep each row under its own label."""
        self.add([], rows)

    def finish(self) -> None:
        """Draw."""
        rows = {label: torch.cat(parts) for label, parts in self._rows.items()}
        if len(rows) == 1:
            page = image_grid(next(iter(rows.values())), self._title)
        else:
            page = image_rows(rows, self._title)
        write_page(page, self._path)


class Folder(Output):
    """A PNG for each image, under its own name."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._used: set[Path] = set()

    def add(self, names: Sequence[str], rows: dict[str, Images], **arrays: Tensor) -> None:
        """Write the images."""
        *_, images = rows.values()
        for name, pixels in zip(names, to_bytes(images), strict=True):
            picture = pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0)
            write_png(picture, self._place(name))

    def finish(self) -> None:
        """Nothing: every image is written."""

    def _place(self, name: str) -> Path:
        inside = [part for part in PurePosixPath(name).parts if part not in ("/", "..")]
        path = place = self._path.joinpath(*inside).with_suffix(".png")
        number = 2
        while place in self._used:  # a.jpg beside a.png
            place = path.with_stem(f"{path.stem}_{number}")
            number += 1
        self._used.add(place)
        return place


class Npz(Output):
    """An ``.npz`` with ``images`` [N, C, H, W] uint8, ``names`` and the other arrays."""

    def __init__(self, path: Path, arrays: GrowingArrays, **meanings: Sequence[str]) -> None:
        self._path = path
        self._arrays = arrays
        self._names: list[str] = []
        self._meanings = meanings

    def add(self, names: Sequence[str], rows: dict[str, Images], **arrays: Tensor) -> None:
        """Append to the arrays on disk."""
        self._names += names
        if rows:
            self._arrays.append(images=to_bytes(list(rows.values())[-1]))
        self._arrays.append(**{name: tensor.cpu().numpy() for name, tensor in arrays.items()})

    def finish(self) -> None:
        """Pack the arrays."""
        texts = {"names": self._names, **self._meanings}
        small = {name: np.array(text, dtype=str) for name, text in texts.items() if len(text)}
        self._arrays.pack(self._path, **small)


class Csv(Output):
    """A line an image: its name, its label (the class's name) and its code, z0, z1, ...

    Bytes of a name that are no UTF-8 are escaped.
    """

    def __init__(self, file: TextIO, class_names: Sequence[str]) -> None:
        self._writer = csv.writer(file)
        self._class_names = class_names
        self._begun = False

    def add(self, names: Sequence[str], rows: dict[str, Images], **arrays: Tensor) -> None:
        """Write the lines."""
        codes, labels = arrays["codes"], arrays["labels"].tolist()
        if not self._begun:
            self._writer.writerow(["name", "label", *(f"z{j}" for j in range(codes.shape[1]))])
            self._begun = True
        names_of = dict(enumerate(self._class_names)) | {NO_CLASS: ""}
        shown = [names_of[label] if self._class_names else label for label in labels]
        for name, label, code in zip(names, shown, codes.tolist(), strict=True):
            self._writer.writerow([name, label, *(f"{value:.7g}" for value in code)])

    def finish(self) -> None:
        """Nothing: every line is written."""


@contextmanager
def output(
    path: Path,
    title: str = "",
    class_names: Sequence[str] = (),
    factor_names: Sequence[str] = (),
    *,
    images: bool = True,
) -> Iterator[Output]:
    """The output that a path stands for by its ending; it is finished when the block ends well.

    Args:
        path: ``.png`` is a page, ``.npz`` arrays, ``.csv`` codes, and no ending a folder of PNGs.
        title: of the page.
        class_names: a name for each label.
        factor_names: a name for each factor.
        images: there are images, otherwise codes alone.

    Raises:
        UserError: the path has another ending, or cannot be written.
    """
    kinds = {".png": Page, "": Folder, ".npz": Npz} if images else {".npz": Npz, ".csv": Csv}
    if path.suffix not in kinds or (path.suffix and path.is_dir()):
        wanted = ", ".join(ending or "a folder" for ending in kinds)
        raise UserError(f"--out takes {wanted}, got {path}.")
    with ExitStack() as stack:
        if path.suffix == ".png":
            result: Output = Page(path, title)
        elif path.suffix == ".npz":
            arrays = stack.enter_context(GrowingArrays(path.parent))
            result = Npz(path, arrays, class_names=class_names, factor_names=factor_names)
        elif path.suffix == ".csv":
            unfinished = stack.enter_context(draft(path))
            file = stack.enter_context(
                unfinished.open("w", encoding="utf-8", errors="backslashreplace", newline="")
            )
            result = Csv(file, class_names)
        else:
            result = Folder(path)
        yield result
        result.finish()


def write_page(page: Pixels, path: Path) -> None:
    """Write a picture as a PNG."""
    write_png(page, path)


def to_bytes(images: Images) -> NDArray[np.uint8]:
    """Images in [0, 1] as uint8 [N, C, H, W]."""
    bytes_: NDArray[np.uint8] = images.float().clamp(0, 1).mul(255).round().byte().cpu().numpy()
    return bytes_
