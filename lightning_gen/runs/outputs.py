"""Where images and codes of a finished run go: a picture, a folder of PNGs, or arrays."""

import csv
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, TextIO

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from lightning_gen.atomic import draft, write_png
from lightning_gen.contracts import NO_CLASS, Images
from lightning_gen.errors import UserError
from lightning_gen.figures import Pixels, image_grid, image_rows, save_vector, to_array
from lightning_gen.views import View

GRID = 64
"""Images on a page, unless the user asks for more."""

PICTURES = (".png", ".pdf", ".svg")
LONGEST_NAME = 255
"""Bytes of a file's name, at most, on all common file systems."""


class Output(ABC):
    """Takes results batch by batch.

    Attributes:
        default_count: how many images are wanted where the user does not say; None is all.
    """

    default_count: int | None = None

    @abstractmethod
    def add(self, names: Sequence[str], rows: dict[str, Images], **arrays: Tensor) -> None:
        """Take a batch: its images, of which the last row is the result, and what else is known."""

    def finish(self) -> None:  # noqa: B027  (most have nothing left)
        """Write what is left to be written."""


class Page(Output):
    """One picture: a square of images, or a row under each label where there are several.

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

    def finish(self) -> None:
        """Draw."""
        rows = {label: torch.cat(parts) for label, parts in self._rows.items()}
        if len(rows) == 1:
            page = image_grid(next(iter(rows.values())), self._title)
        else:
            page = image_rows(rows, self._title)
        write_picture(page, self._path)


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

    def _place(self, name: str) -> Path:
        inside = [part for part in PurePosixPath(name).parts if part not in ("/", "..")]
        path = self._path.joinpath(*inside)
        tail, number = ".png", 2
        while (place := path.with_name(shortened(path.stem, tail))) in self._used:
            tail, number = f"_{number}.png", number + 1  # a.jpg beside a.png
        self._used.add(place)
        return place


class Npz(Output):
    """An ``.npz`` with ``images`` [N, C, H, W] uint8, ``names`` and the other arrays."""

    def __init__(self, path: Path, names: dict[str, Sequence[str]]) -> None:
        self._path = path
        self._parts: dict[str, list[NDArray[Any]]] = {"names": []}
        self._small = {key: np.array(words, dtype=str) for key, words in names.items() if words}

    def add(self, names: Sequence[str], rows: dict[str, Images], **arrays: Tensor) -> None:
        """Keep the arrays."""
        known = {name: t.cpu().numpy() for name, t in arrays.items() if t.shape[1:] != (0,)}
        if rows:
            known["images"] = to_bytes(list(rows.values())[-1])
        for name, part in {"names": np.array(names, dtype=str), **known}.items():
            self._parts.setdefault(name, []).append(part)

    def finish(self) -> None:
        """Pack the arrays."""
        arrays = {name: np.concatenate(parts) for name, parts in self._parts.items() if parts}
        with draft(self._path) as unfinished, unfinished.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays, **self._small)


class Csv(Output):
    """A line an image: name, label (the class's name), attributes, and its code, z0, z1, ...

    Bytes of a name that are no UTF-8 are escaped, and so are texts that a spreadsheet would take
    for a formula (OWASP, CSV injection): an apostrophe stands before them.
    """

    def __init__(
        self, file: TextIO, class_names: Sequence[str], factor_names: Sequence[str]
    ) -> None:
        self._writer = csv.writer(file)
        self._class_names = class_names
        self._factor_names = factor_names
        self._begun = False

    def add(self, names: Sequence[str], rows: dict[str, Images], **arrays: Tensor) -> None:
        """Write the lines."""
        codes, labels = arrays["codes"], arrays["labels"].tolist()
        factors = arrays.get("factors", codes[:, :0])
        if not self._begun:
            numbered = [f"attribute_{number}" for number in range(factors.shape[1])]
            attributes = map(no_formula, self._factor_names or numbered)
            dimensions = (f"z{j}" for j in range(codes.shape[1]))
            self._writer.writerow(["name", "label", *attributes, *dimensions])
            self._begun = True
        names_of = dict(enumerate(self._class_names)) | {NO_CLASS: ""}
        shown = [names_of[label] if self._class_names else str(label) for label in labels]
        for name, label, attributes, code in zip(
            names, shown, factors.tolist(), codes.tolist(), strict=True
        ):
            numbers = (f"{value:.7g}" for value in (*attributes, *code))
            self._writer.writerow([no_formula(name), no_formula(label), *numbers])


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
        path: a picture (.png, .pdf, .svg), ``.npz`` for arrays, ``.csv`` for codes, and no ending
            for a folder of PNGs.
        title: of the page.
        class_names: a name for each label.
        factor_names: a name for each attribute.
        images: there are images, otherwise codes alone.

    Raises:
        UserError: the path has another ending, or cannot be written.
    """
    check_ending(path, (*PICTURES, "", ".npz") if images else (".npz", ".csv"))
    with ExitStack() as stack:
        if path.suffix in PICTURES:
            result: Output = Page(path, title)
        elif path.suffix == ".npz":
            result = Npz(path, {"class_names": class_names, "factor_names": factor_names})
        elif path.suffix == ".csv":
            unfinished = stack.enter_context(draft(path))
            file = stack.enter_context(
                unfinished.open("w", encoding="utf-8", errors="backslashreplace", newline="")
            )
            result = Csv(file, class_names, factor_names)
        else:
            result = Folder(path)
        yield result
        result.finish()


def check_ending(path: Path, endings: Sequence[str]) -> None:
    """Raise a UserError unless a path has one of the endings; "" is a folder."""
    if path.suffix not in endings or (path.suffix and path.is_dir()):
        wanted = ", ".join(ending or "a folder" for ending in endings)
        raise UserError(f"--out takes {wanted}, got {path}.")


def write_view(view: View, out: Path, *, film: bool = False) -> Path:
    """Write a page, every image as ``<row>/<number>``, or a film through the columns.

    Args:
        view: the images.
        out: as :func:`output` takes it, or a ``.gif``.
        film: its columns are steps of a way.
    """
    check_ending(out, (*PICTURES, "", ".npz", *([".gif"] if film else [])))
    if out.suffix == ".gif":
        write_film(view, out)
    elif out.suffix in PICTURES:
        write_picture(view.pixels(), out)
    else:
        with output(out) as result:
            for label, images in view.rows.items():
                names = [f"{label}/{number:05}".lstrip("/") for number in range(len(images))]
                result.add(names, {"result": images})
    return out


def write_film(view: View, path: Path, seconds: float = 0.12) -> None:
    """Write a GIF that goes through the columns of a view and back again, without end."""
    columns = [number for number, name in enumerate(view.columns) if name != "image"]
    there_and_back = [*columns, *columns[-2:0:-1]]
    frames = [
        Image.fromarray(image_rows({k: row[n : n + 1] for k, row in view.rows.items()}, view.title))
        for n in there_and_back
    ]
    first, *others = frames
    options = {"append_images": others, "duration": round(1000 * seconds), "loop": 0}
    with draft(path) as unfinished:
        first.save(unfinished, format="GIF", save_all=True, **options)


def write_picture(picture: Pixels | Figure, path: Path) -> None:
    """Write a page or a chart as what the ending says: ``.png``, ``.pdf`` or ``.svg``.

    The text of a chart in a PDF or SVG is text; images are the same pixels in each.
    """
    if path.suffix == ".png":
        pixels = to_array(picture) if isinstance(picture, Figure) else picture
        write_png(pixels, path)
        return
    with draft(path) as unfinished:
        save_vector(picture, unfinished, path.suffix[1:])


def no_formula(text: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def shortened(stem: str, tail: str) -> str:
    """A file's name of this beginning and end, the beginning cut where it is too long for one."""
    room = LONGEST_NAME - len(tail)
    if len(os.fsencode(stem)) > room:
        stem = os.fsencode(stem)[:room].decode(errors="ignore")
    return stem + tail


def to_bytes(images: Images) -> NDArray[np.uint8]:
    """Images in [0, 1] as uint8 [N, C, H, W]."""
    bytes_: NDArray[np.uint8] = images.float().clamp(0, 1).mul(255).round().byte().cpu().numpy()
    return bytes_
