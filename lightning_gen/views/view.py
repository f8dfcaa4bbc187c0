"""Images in rows, with what they are; the ways from one image to another."""

from collections.abc import Sequence
from typing import NamedTuple

import torch

from lightning_gen.contracts import Codes, Decodes, Images
from lightning_gen.figures.grid import GAP, image_rows
from lightning_gen.figures.style import Pixels
from lightning_gen.latent import PATHS, PathName

AT_ONCE = 256
"""Codes that are decoded together."""


class View(NamedTuple):
    """What a model shows, ready to be drawn or to be kept image by image.

    Attributes:
        rows: images of equal shape under each label.
        title: what the picture shows.
        columns: a heading above each column, or none.
        seamless: the images are points of a plane, drawn without gaps.
    """

    rows: dict[str, Images]
    title: str
    columns: tuple[str, ...] = ()
    seamless: bool = False

    def pixels(self, note: str = "") -> Pixels:
        """The picture; the ``note`` follows the title."""
        title = f"{self.title} {note}".strip()
        return image_rows(self.rows, title, self.columns, 0 if self.seamless else GAP)


def decode_all(model: Decodes, codes: Codes) -> Images:
    """The images of any number of codes, a few hundred at once."""
    return torch.cat([model.decode(part) for part in torch.split(codes, AT_ONCE)])


def interpolation(
    model: Decodes,
    start: Codes,
    end: Codes,
    *,
    steps: int = 10,
    path: PathName = "linear",
    names: Sequence[str] = (),
    originals: tuple[Images, Images] | None = None,
) -> View:
    """A row for each pair of codes [N, D], decoded at even positions from 0 to 1 between them.

    The path is a straight line or a great arc. The originals, images of both ends, are shown beside
    what the model makes of their codes.
    """
    codes = PATHS[path](start, end, steps)
    images = decode_all(model, codes.flatten(0, 1))
    images = images.view(*codes.shape[:2], *images.shape[1:])
    columns = tuple(f"{position:.2g}" for position in torch.linspace(0, 1, steps).tolist())
    if originals is not None:
        first, last = originals
        images = torch.cat([first[:, None], images, last[:, None]], dim=1)
        columns = ("image", *columns, "image")
    names = unique(names or ["pair"] * len(images))
    return View(dict(zip(names, images, strict=True)), f"Interpolation, {path}", columns)


def unique(names: Sequence[str]) -> list[str]:
    """Names with a number where they repeat."""
    found: list[str] = []
    for name in names:
        number = 2
        different = name
        while different in found:
            different, number = f"{name} {number}", number + 1
        found.append(different)
    return found
