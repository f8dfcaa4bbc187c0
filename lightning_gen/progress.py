"""Progress bars."""

from typing import Never

from lightning.pytorch.utilities import rank_zero_only
from tqdm import tqdm


def progress(total: int | None, description: str, unit: str = "image") -> "tqdm[Never]":
    """A bar over ``total`` units, shown on a terminal when the work takes more than a second.

    ``None`` is a total that is not known.
    """
    other_rank = getattr(rank_zero_only, "rank", 0) > 0
    return tqdm(
        total=total, desc=description, unit=unit, delay=1, disable=True if other_rank else None
    )
