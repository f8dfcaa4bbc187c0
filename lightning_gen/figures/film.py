"""Films: pages that follow each other, as a GIF or an MP4."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw

from lightning_gen.errors import UserError
from lightning_gen.figures.grid import INK, MARGIN, PAPER, TITLE_SIZE
from lightning_gen.figures.style import Pixels, font

Frame = UInt8[np.ndarray, "frame_h frame_w 3"]

FILMS = (".gif", ".mp4")
HELD = 10
"""The last page of a film that does not go back stands so many times as long."""


def write_film(
    pages: Sequence[Pixels | Frame], path: Path, ending: str, milliseconds: int = 120
) -> None:
    """Write pages into a file, each for so many milliseconds, smaller ones with paper around them.

    The ``ending`` is that of a GIF, which begins anew when it is over, or of an MP4 (H.264).
    """
    height, width = (max(sizes) for sizes in zip(*(page.shape[:2] for page in pages), strict=True))
    size = height + height % 2, width + width % 2  # H.264 wants even sides
    whole = [_on_paper(page, *size) for page in pages]
    if ending == ".mp4":
        _write_mp4(whole, path, milliseconds)
        return
    first, *others = map(Image.fromarray, whole)
    first.save(
        path, format="GIF", save_all=True, append_images=others, duration=milliseconds, loop=0
    )


def _write_mp4(pages: Sequence[Frame], path: Path, milliseconds: int) -> None:
    try:
        import av
    except ImportError as error:
        raise UserError(
            'an .mp4 needs PyAV. Run: pip install "lightning-gen[film]", or pass a .gif.'
        ) from error
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("h264", rate=Fraction(1000, milliseconds))
        stream.height, stream.width = pages[0].shape[:2]
        stream.pix_fmt = "yuv420p"  # what every browser and phone plays
        for page in pages:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(page, format="rgb24")))
        container.mux(stream.encode())


def under_heading(page: Pixels, heading: str) -> Frame:
    """A page with a line above it."""
    height = 2 * MARGIN + TITLE_SIZE
    found = np.full((page.shape[0] + height, *page.shape[1:]), PAPER, dtype=np.uint8)
    found[height:] = page
    picture = Image.fromarray(found)
    ImageDraw.Draw(picture).text((MARGIN, MARGIN), heading, INK, font(TITLE_SIZE), anchor="lt")
    return np.asarray(picture)


def _on_paper(page: Pixels | Frame, height: int, width: int) -> Frame:
    around = [(0, height - page.shape[0]), (0, width - page.shape[1]), (0, 0)]
    return np.pad(page, around, constant_values=PAPER)
