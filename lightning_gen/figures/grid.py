"""Images in rows on one page, drawn with PIL in a few milliseconds."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from lightning_gen.contracts import Images
from lightning_gen.figures.style import Pixels

LEAST_SIDE = 80
"""Pixels of an image's longer side, at least: small images are enlarged by a whole factor."""

MAX_WIDTH = 1200
"""Pixels of images side by side; a longer row is broken into equal lines."""

MARGIN, GAP, GROUP_GAP = 14, 2, 12
TITLE_SIZE, LABEL_SIZE = 17, 15
PAPER, INK = 246, (34, 34, 34)

Tiles = UInt8[np.ndarray, "n tile_h tile_w 3"]


class Line(NamedTuple):
    """Images side by side, with a label left of them."""

    label: str
    tiles: Tiles
    gap_above: int


def image_rows(rows: Mapping[str, Images], title: str) -> Pixels:
    """One row of images under each label, column by column comparable.

    Rows too long for the page are broken together, so that images of one column stay in one column.

    Args:
        rows: images of equal shape under each label, such as "original" and "reconstruction".
        title: the line above.
    """
    tiles = {label: enlarged(images) for label, images in rows.items()}
    count = max(len(row) for row in tiles.values())
    width = next(iter(tiles.values())).shape[2] + GAP
    breaks = -(-count * width // MAX_WIDTH)
    step = -(-count // breaks)
    lines = [
        Line(label, row[start : start + step], GROUP_GAP if number == 0 else GAP)
        for start in range(0, count, step)
        for number, (label, row) in enumerate(tiles.items())
    ]
    return _page(lines, title)


def image_grid(images: Images, title: str) -> Pixels:
    """Images in a square without labels, row by row; the last row may be shorter."""
    tiles = enlarged(images)
    side = math.ceil(math.sqrt(len(tiles)))
    starts = range(0, len(tiles), side)
    return _page([Line("", tiles[start : start + side], GAP) for start in starts], title)


def enlarged(images: Images) -> Tiles:
    """Images as RGB bytes, each pixel repeated a whole number of times.

    Images that do not have three channels are shown as the grey mean of their channels.
    """
    images = images.detach().float().clamp(0, 1)
    if images.shape[1] != 3:
        images = images.mean(dim=1, keepdim=True).expand(-1, 3, -1, -1)
    tiles = images.mul(255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
    factor = -(-LEAST_SIDE // max(tiles.shape[1:3]))
    return tiles.repeat(factor, axis=1).repeat(factor, axis=2)


def _page(lines: Sequence[Line], title: str) -> Pixels:
    title_font, label_font = ImageFont.load_default(TITLE_SIZE), ImageFont.load_default(LABEL_SIZE)
    longest = max(label_font.getlength(line.label) for line in lines)
    left = MARGIN + (math.ceil(longest) + MARGIN if longest else 0)
    _, height, width, _ = lines[0].tiles.shape
    right = left + max(len(line.tiles) for line in lines) * (width + GAP) - GAP
    tops = _tops(lines, height)
    page_width = max(right, MARGIN + math.ceil(title_font.getlength(title))) + MARGIN
    page = np.full((tops[-1] + height + MARGIN, page_width, 3), PAPER, dtype=np.uint8)
    for line, top in zip(lines, tops, strict=True):
        for number, tile in enumerate(line.tiles):
            start = left + number * (width + GAP)
            page[top : top + height, start : start + width] = tile
    picture = Image.fromarray(page)
    draw = ImageDraw.Draw(picture)
    draw.text((MARGIN, MARGIN), title, INK, title_font, anchor="lt")
    for line, top in zip(lines, tops, strict=True):
        draw.text((MARGIN, top + height / 2), line.label, INK, label_font, anchor="lm")
    return np.asarray(picture)


def _tops(lines: Sequence[Line], height: int) -> list[int]:
    tops = [MARGIN + TITLE_SIZE + GROUP_GAP]
    for line in lines[1:]:
        tops.append(tops[-1] + height + line.gap_above)
    return tops
