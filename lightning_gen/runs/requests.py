"""What a request needs, looked at before it is begun."""

import os
import shutil
from math import prod
from pathlib import Path

from lightning_gen.errors import UserError
from lightning_gen.figures import tile_size
from lightning_gen.runs.finished import FinishedRun

MOST_PIXELS = 100_000_000
"""Of a picture: programs refuse to open larger ones."""

BLOCK = 4096
"""Bytes that the smallest file takes on a disk."""


def check_request(run: FinishedRun, out: Path, images: int, held: int = 0) -> None:
    """Raise a UserError where so many images are more than a picture, disk or memory takes.

    Args:
        run: whose images they are.
        out: a picture, an .npz or a folder.
        images: how many of them are written.
        held: numbers of four bytes that are in memory at once.
    """
    shape = run.model.hparams.get("image_shape")
    if shape is None:  # of a model of the user's own
        return
    _, height, width = shape
    tall, wide = tile_size(height, width)
    pixels, packed = images * tall * wide, out.suffix in ("", ".npz")
    size = images * max(prod(shape), BLOCK if out.suffix == "" else 0)
    there = next((place for place in out.absolute().parents if place.exists()), Path("/"))
    free = shutil.disk_usage(there).free
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    needed = max(4 * held, 2 * size if out.suffix == ".npz" else 0)
    if not packed and pixels > MOST_PIXELS:
        raise UserError(
            f"a picture of {images:,} images would have {pixels / 1e6:,.0f} million pixels, at "
            f"most {MOST_PIXELS / 1e6:.0f} million can be opened. Ask for fewer, or pass --out a "
            "folder or an .npz."
        )
    if packed and size > free:
        raise UserError(
            f"{images:,} images take {size / 1e9:,.1f} GB, and the disk of {there} has "
            f"{free / 1e9:,.1f} GB left. Ask for fewer."
        )
    if needed > memory:
        raise UserError(
            f"{images:,} images at once take {needed / 1e9:,.1f} GB, more than half of this "
            f"machine's memory ({memory / 1e9:,.1f} GB). Ask for fewer."
        )
