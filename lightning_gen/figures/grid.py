"""Images in rows on one page, drawn with PIL in a few milliseconds."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw

from lightning_gen.contracts import Images
from lightning_gen.figures.style import Pixels, drawable, font

LEAST_SIDE = 80
"""Pixels of an image's longer side, at least: small images are enlarged by a whole factor."""

MAX_WIDTH = 1200
"""Pixels of images side by side; a longer row is broken into equal lines."""

MARGIN, GAP, GROUP_GAP = 14, 2, 12
TITLE_SIZE, LABEL_SIZE, HEADING_SIZE, HEADING_LINE, TITLE_LINE = 15, 13, 11, 16, 20
LEAST_WIDTH = 300
"""Pixels that a title may take beside narrower images."""

PAPER, INK = 246, (34, 34, 34)

Tiles = UInt8[np.ndarray, "n tile_h tile_w 3"]


class Line(NamedTuple):
    """Images side by side, with a label left of them."""

    label: str
    tiles: Tiles
    gap_above: int


def image_rows(
    rows: Mapping[str, Images], title: str, columns: Sequence[str] = (), gap: int = GAP
) -> Pixels:
    """One row of images under each label, column by column comparable.

    Rows too long for the page are broken together, so that images of one column stay in one column;
    rows with headings are not broken.

    Args:
        rows: images of equal shape under each label, such as "original" and "reconstruction".
        title: the line above.
        columns: a heading above each column, or none.
        gap: pixels between images; 0 shows a plane without seams.
    """
    tiles = {label: enlarged(images) for label, images in rows.items()}
    count = max(len(row) for row in tiles.values())
    width = next(iter(tiles.values())).shape[2] + gap
    breaks = 1 if columns else -(-count * width // MAX_WIDTH)
    step = -(-count // breaks)
    lines = [
        Line(label, row[start : start + step], GROUP_GAP if number == 0 and not columns else gap)
        for start in range(0, count, step)
        for number, (label, row) in enumerate(tiles.items())
    ]
    return _page(lines, title, columns, gap)


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
    factor = _factor(*tiles.shape[1:3])
    return tiles.repeat(factor, axis=1).repeat(factor, axis=2)


def tile_size(height: int, width: int) -> tuple[int, int]:
    """The pixels down and across that an image takes on a page, with its gap."""
    factor = _factor(height, width)
    return factor * height + GAP, factor * width + GAP


def _factor(height: int, width: int) -> int:
    return -(-LEAST_SIDE // max(height, width))


def _page(lines: Sequence[Line], title: str, columns: Sequence[str] = (), gap: int = GAP) -> Pixels:
    title_font, label_font = font(TITLE_SIZE), font(LABEL_SIZE)
    headings = [
        _fitted(signed(name), lines[0].tiles.shape[2] + gap, HEADING_SIZE) for name in columns
    ]
    lines = [line._replace(label=signed(line.label)) for line in lines]
    longest = max(label_font.getlength(line.label) for line in lines)
    left = MARGIN + (math.ceil(longest) + MARGIN if longest else 0)
    _, height, width, _ = lines[0].tiles.shape
    right = left + max(len(line.tiles) for line in lines) * (width + gap) - gap
    heading_height = HEADING_LINE * max((len(words) for words in headings), default=0)
    title_lines = _fitted(drawable(title), max(right, LEAST_WIDTH) - MARGIN, TITLE_SIZE)
    title_height = TITLE_LINE * (len(title_lines) - 1)
    tops = _tops(lines, height, title_height + heading_height)
    longest = max(title_font.getlength(words) for words in title_lines)
    page_width = max(right, MARGIN + math.ceil(longest)) + MARGIN
    page = np.full((tops[-1] + height + MARGIN, page_width, 3), PAPER, dtype=np.uint8)
    for line, top in zip(lines, tops, strict=True):
        for number, tile in enumerate(line.tiles):
            start = left + number * (width + gap)
            page[top : top + height, start : start + width] = tile
    picture = Image.fromarray(page)
    draw = ImageDraw.Draw(picture)
    for number, line_of_title in enumerate(title_lines):
        place = MARGIN, MARGIN + number * TITLE_LINE
        draw.text(place, line_of_title, INK, title_font, anchor="lt")
    for line, top in zip(lines, tops, strict=True):
        draw.text((MARGIN, top + height / 2), line.label, INK, label_font, anchor="lm")
    heading_font = font(HEADING_SIZE)
    for number, words in enumerate(headings):
        middle = left + number * (width + gap) + width / 2
        for row, word in enumerate(reversed(words)):
            place = middle, tops[0] - 4 - row * HEADING_LINE
            draw.text(place, word, INK, heading_font, anchor="md")
    return np.asarray(picture)


def signed(text: str) -> str:
    """The text with a true minus sign before its numbers: a hyphen is lost in a small picture."""
    return re.sub(r"(?<!\w)-(?=\d)", "\u2212", drawable(text))


def _fitted(text: str, width: int, size: int) -> list[str]:
    """The lines that a text takes in a font of this size, broken between words."""
    used = font(size)
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if not lines[-1] or used.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _tops(lines: Sequence[Line], height: int, heading_height: int) -> list[int]:
    tops = [MARGIN + TITLE_SIZE + GROUP_GAP + heading_height]
    for line in lines[1:]:
        tops.append(tops[-1] + height + line.gap_above)
    return tops
