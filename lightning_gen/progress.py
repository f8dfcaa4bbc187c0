"""Progress bars, and work in threads that shows one."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Never, TypeVar

from lightning.pytorch.utilities import rank_zero_only
from tqdm import tqdm

T = TypeVar("T")


def progress(total: int | None, description: str, unit: str = "image") -> "tqdm[Never]":
    """A bar over ``total`` units, shown on a terminal when the work takes more than a second.

    ``None`` is a total that is not known.
    """
    other_rank = getattr(rank_zero_only, "rank", 0) > 0
    return tqdm(
        total=total, desc=description, unit=unit, delay=1, disable=True if other_rank else None
    )


def in_threads(task: Callable[[int], T], count: int, description: str) -> list[T]:
    """``task`` of each of 0 to ``count - 1``, in order, with progress when it takes seconds."""
    results: list[T] = []
    with progress(count, description) as bar, ThreadPoolExecutor(os.cpu_count()) as threads:
        for start in range(0, count, 1024):  # an interrupt waits for one part, not for all
            part = range(start, min(start + 1024, count))
            results += threads.map(task, part)
            bar.update(len(part))
    return results
