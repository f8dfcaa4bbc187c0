"""Images in rows, with what they are."""

from collections.abc import Sequence
from typing import NamedTuple

import torch

from lightning_gen.contracts import Codes, Decodes, Images
from lightning_gen.figures.grid import GAP, image_grid, image_rows
from lightning_gen.figures.style import Pixels

AT_ONCE = 256
"""Codes that are decoded together."""


class View(NamedTuple):
    """What a model shows, ready to be drawn or to be kept image by image.

    Attributes:
        rows: images of equal shape under each label; one row without a label and without columns
            is drawn as a square.
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
        if [*self.rows] == [""] and not self.columns:
            return image_grid(self.rows[""], title)
        return image_rows(self.rows, title, self.columns, 0 if self.seamless else GAP)


def decode_all(model: Decodes, codes: Codes) -> Images:
    """The images of any number of codes, a few hundred at once."""
    return torch.cat([model.decode(part) for part in torch.split(codes, AT_ONCE)])


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
