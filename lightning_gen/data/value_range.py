"""Which values are black and white in image files of more than 8 bits."""

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from lightning.pytorch.utilities import rank_zero_info
from PIL import Image

from lightning_gen.atomic import write_text
from lightning_gen.data.cache import folder_of
from lightning_gen.data.decoding import (
    FORMATS,
    FolderFiles,
    Stream,
    ValueRange,
    attempt_all,
    check_size,
    has_own_range,
)
from lightning_gen.data.unreadable import describe
from lightning_gen.errors import UserError


def known_range(files: FolderFiles, names: Sequence[str], folder: Path | None) -> ValueRange | None:
    """The range of the values of files of more than 8 bits, which a line says.

    It is 0 and the largest number of as many bits as hold the largest value, 1 to 16: 4095 for
    3871. The extremes are kept in ``folder``, below which caches lie: finding them reads all files.
    None where all have colours. A UserError says that none can be read, the values are negative,
    larger than 65535, or no numbers, or files with colours do not use the upper of their 16 bits.
    """
    kept = folder and folder_of(folder, files) / f"{files.state(names)[:16]}.range"
    try:
        found = json.loads(kept.read_text()) if kept else None
    except (OSError, ValueError):
        found = None
    if found is None:
        found = _find_extremes(files, names)
        if kept:
            with suppress(OSError, UserError):
                write_text(kept, json.dumps(found))
    if not found:
        return None
    low, high = found
    if not (low >= 0 and high <= 2**16 - 1):
        raise UserError(
            f"files of more than 8 bits hold values from {low:g} to {high:g}, and which of these "
            "are black and white is not known. Set data.value_range to [black, white]."
        )
    white = float(next(2**bits - 1 for bits in range(1, 17) if high <= 2**bits - 1))
    rank_zero_info(
        f"values {low:g} to {high:g} found in {len(names)} files of more than 8 bits: "
        f"scaled by {white:g} (data.value_range sets another range)."
    )
    return 0.0, white


def _find_extremes(files: FolderFiles, names: Sequence[str]) -> list[float]:
    """The smallest and the largest value; none of files with colours."""
    found, broken = attempt_all(files, names, extremes, "reading the range of values")
    if not found:
        raise UserError(f"{describe(broken, len(names))}. Replace or remove them.")
    colours = [high for _, high, cut in found.values() if cut]
    if colours and max(colours) < 128:
        raise UserError(
            f"{len(colours)} files have colours of 16 bits, of which only 8 are read, and these go "
            f"up to {max(colours):g} of 255: the images would be nearly black. Convert them to 8 "
            "bits."
        )
    own = np.array([(low, high) for low, high, cut in found.values() if not cut])
    return [own[:, 0].min().item(), own[:, 1].max().item()] if len(own) else []


def extremes(stream: Stream) -> tuple[float, float, bool]:
    """The smallest and the largest value of a deep image file, and whether they are cut.

    These are the upper 8 of 16 bits, all that Pillow reads of a file with colours.
    """
    with Image.open(stream, formats=FORMATS) as image:
        check_size(image)
        cut = not has_own_range(image)
        values = np.asarray(image.convert("RGB") if cut else image)
        return float(values.min()), float(values.max()), cut
