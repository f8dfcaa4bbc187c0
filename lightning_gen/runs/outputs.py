"""Where images and codes of a finished run go: a picture, a folder of PNGs, or arrays."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torchvision.transforms.functional import InterpolationMode, resize

from lightning_gen.atomic import draft, no_formula, write_png, write_rows
from lightning_gen.contracts import NO_CLASS, Images
from lightning_gen.errors import UserError
from lightning_gen.figures.film import FILMS, write_film
from lightning_gen.figures.grid import image_grid, image_rows
from lightning_gen.figures.style import Pixels, save_vector, to_array
from lightning_gen.pictures import View
from lightning_gen.progress import progress

PICTURES = (".png", ".pdf", ".svg")
LONGEST_NAME = 255
"""Bytes of a file's name, at most, on all common file systems."""


class ResultBatch(NamedTuple):
    """A batch of results.

    ``rows`` are images under a label each; the last row is the result, and codes alone have none.
    ``arrays`` hold what else is known of each image, such as codes and labels; ``sizes`` the
    (height, width) that each result has as a file, where it is not the model's.
    """

    names: Sequence[str]
    rows: dict[str, Images]
    arrays: Mapping[str, Tensor] = {}
    sizes: Sequence[tuple[int, int]] = ()


def numbered(
    batches: Iterable[tuple[Images, dict[str, Tensor]]], count: int, task: str
) -> Iterator[ResultBatch]:
    """Batches of images and arrays under the numbers of the images, with a progress bar."""
    start = 0
    with progress(count, task) as bar:
        for images, arrays in batches:
            names = [f"{start + number:05}" for number in range(len(images))]
            yield ResultBatch(names, {"result": images}, arrays)
            start += len(images)
            bar.update(len(images))


def write(
    path: Path,
    parts: Iterable[ResultBatch],
    title: str = "",
    class_names: Sequence[str] = (),
    factor_names: Sequence[str] = (),
    *,
    images: bool = True,
) -> Path:
    """Write results as a path's ending says, whole or not at all; a UserError at another ending.

    It is that of a picture (.png, .pdf, .svg), ``.npz`` for arrays, ``.csv`` for codes, and none
    for a folder of PNGs. The parts are computed as they are asked for; without ``images`` they are
    codes alone.
    """
    check_ending(path, (*PICTURES, "", ".npz") if images else (".npz", ".csv"))
    if path.suffix in PICTURES:
        found: dict[str, list[Images]] = {}
        for part in parts:
            for label, pieces in part.rows.items():
                found.setdefault(label, []).append(pieces.cpu())
        rows = {label: torch.cat(pieces) for label, pieces in found.items()}
        first, *others = rows.values()
        write_picture(image_rows(rows, title) if others else image_grid(first, title), path)
    elif path.suffix == ".npz":
        _write_arrays(path, parts, {"class_names": class_names, "factor_names": factor_names})
    elif path.suffix == ".csv":
        write_rows(path, _table(parts, class_names, factor_names))
    else:
        _write_folder(path, parts)
    return path


def _write_folder(folder: Path, parts: Iterable[ResultBatch]) -> None:
    """A PNG for each image, under its own name."""
    used: set[Path] = set()
    for part in parts:
        *_, images = part.rows.values()
        for row, name in enumerate(part.names):
            image = images[row : row + 1]
            if part.sizes:
                image = resize(image, [*part.sizes[row]], InterpolationMode.BICUBIC)
            [pixels] = to_bytes(image)
            inside = [word for word in PurePosixPath(name).parts if word not in ("/", "..")]
            path = folder.joinpath(*inside)
            tail, number = ".png", 2
            while (place := path.with_name(file_name(path.stem, tail))) in used:
                tail, number = f"_{number}.png", number + 1  # a.jpg beside a.png
            used.add(place)
            write_png(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0), place)


def _write_arrays(
    path: Path, parts: Iterable[ResultBatch], words: dict[str, Sequence[str]]
) -> None:
    """An ``.npz`` with ``images`` [N, C, H, W] uint8, ``names`` and the other arrays."""
    found: dict[str, list[NDArray[Any]]] = {"names": []}
    for part in parts:
        known = {key: t.cpu().numpy() for key, t in part.arrays.items() if t.shape[1:] != (0,)}
        if part.rows:
            known["images"] = to_bytes(list(part.rows.values())[-1])
        for key, piece in {"names": np.array(part.names, dtype=str), **known}.items():
            found.setdefault(key, []).append(piece)
    arrays: dict[str, Any] = {k: np.concatenate(pieces) for k, pieces in found.items() if pieces}
    arrays |= {key: np.array(names, dtype=str) for key, names in words.items() if names}
    with draft(path) as unfinished, unfinished.open("wb") as file:
        np.savez(file, **arrays)


def _table(
    parts: Iterable[ResultBatch], class_names: Sequence[str], factor_names: Sequence[str]
) -> Iterator[list[str]]:
    """A row an image: name, label (the class's name), attributes, and its code, z0, z1, ..."""
    names_of = dict(enumerate(class_names)) | {NO_CLASS: ""}
    for place, (names, _, arrays, _) in enumerate(parts):
        codes = arrays["codes"]
        factors = arrays.get("factors", codes[:, :0])
        if place == 0:
            attributes = factor_names or [f"attribute_{n}" for n in range(factors.shape[1])]
            dimensions = (f"z{j}" for j in range(codes.shape[1]))
            yield ["name", "label", *map(no_formula, attributes), *dimensions]
        values = torch.cat([factors.to(codes), codes], dim=1).tolist()
        for name, label, row in zip(names, arrays["labels"].tolist(), values, strict=True):
            shown = names_of.get(label, str(label))
            yield [no_formula(name), no_formula(shown), *(f"{value:.7g}" for value in row)]


def check_ending(path: Path, endings: Sequence[str], option: str = "--out") -> None:
    """Raise a UserError unless a path has one of the endings; "" is a folder."""
    if path.suffix not in endings or (path.suffix and path.is_dir()):
        wanted = ", ".join(ending or "a folder" for ending in endings)
        raise UserError(f"{option} takes {wanted}, got {path}.")


def write_view(view: View, out: Path, *, film: bool = False) -> Path:
    """Write a page, every image as ``<row>/<number>``, or a film through the columns.

    ``out`` is as :func:`write` takes it, or a ``.gif`` or ``.mp4`` of a ``film``, whose columns are
    steps of a way.
    """
    check_ending(out, (*PICTURES, "", ".npz", *(FILMS if film else [])))
    if out.suffix in FILMS:
        columns = [number for number, name in enumerate(view.columns) if name != "image"]
        pages = [
            image_rows({k: r[n : n + 1] for k, r in view.rows.items()}, view.title)
            for n in [*columns, *columns[-2:0:-1]]  # there and back
        ]
        with draft(out) as unfinished:
            write_film(pages, unfinished, out.suffix)
    elif out.suffix in PICTURES:
        write_picture(view.pixels(), out)
    else:
        numbers = {label: range(len(images)) for label, images in view.rows.items()}
        names = {k: [f"{k}/{n:05}".lstrip("/") for n in each] for k, each in numbers.items()}
        write(out, (ResultBatch(names[k], {"result": images}) for k, images in view.rows.items()))
    return out


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


def file_name(stem: str, tail: str) -> str:
    """A file's name of this beginning and end, the beginning cut where it is too long for one."""
    room = LONGEST_NAME - len(tail)
    if len(os.fsencode(stem)) > room:
        stem = os.fsencode(stem)[:room].decode(errors="ignore")
    return stem + tail


def to_bytes(images: Images) -> NDArray[np.uint8]:
    """Images in [0, 1] as uint8 [N, C, H, W]."""
    bytes_: NDArray[np.uint8] = images.float().clamp(0, 1).mul(255).round().byte().cpu().numpy()
    return bytes_


def as_image(drawn: View | Figure) -> Image.Image:
    """What a picture has drawn, as pixels."""
    return Image.fromarray(to_array(drawn) if isinstance(drawn, Figure) else drawn.pixels())


def open_picture(path: Path) -> Image.Image:
    """The picture of a PNG file, as RGB; Pillow raises nearly anything at a broken one."""
    with Image.open(path, formats=("PNG",)) as file:
        return file.convert("RGB")
