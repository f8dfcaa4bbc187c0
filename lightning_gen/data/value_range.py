"""The range of the values of image files of more than 8 bits."""

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from lightning.pytorch.utilities import rank_zero_info

from lightning_gen.atomic import write_text
from lightning_gen.data.cache import folder_of
from lightning_gen.data.decoding import Extremes, Unreadable, ValueRange, describe, extremes
from lightning_gen.data.files import Files, attempt_all
from lightning_gen.errors import UserError


def known_range(files: Files, names: Sequence[str], folder: Path | None) -> ValueRange | None:
    """The range of the values of files of more than 8 bits, which a line says.

    It is 0 and the largest number of as many bits as hold the largest value, 1 to 16: 4095 for
    3871. The extremes are kept in ``folder``, below which caches lie: finding them reads all files.
    None where all have colours.

    Raises:
        UserError: none can be read, the values are negative, larger than 65535, or no numbers, or
            files with colours do not use the upper of their 16 bits.
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


def _find_extremes(files: Files, names: Sequence[str]) -> list[float]:
    """The smallest and the largest value; none of files with colours."""
    found = attempt_all(files, names, extremes, "reading the range of values")
    read = [one for one in found if isinstance(one, Extremes)]
    if not read:
        broken = [one for one in found if isinstance(one, Unreadable)]
        raise UserError(f"{describe(broken, len(names))}. Replace or remove them.")
    colours = [one.high for one in read if one.cut]
    if colours and max(colours) < 128:
        raise UserError(
            f"{len(colours)} files have colours of 16 bits, of which only 8 are read, and these go "
            f"up to {max(colours):g} of 255: the images would be nearly black. Convert them to 8 "
            "bits."
        )
    own = np.array([(one.low, one.high) for one in read if not one.cut])
    return [own[:, 0].min().item(), own[:, 1].max().item()] if len(own) else []
