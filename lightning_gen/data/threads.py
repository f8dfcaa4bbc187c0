"""Work on many files at once."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from lightning_gen.progress import progress

T = TypeVar("T")


def in_threads(task: Callable[[int], T], count: int, description: str) -> list[T]:
    """``task`` of each of 0 to ``count - 1``, in order, with progress when it takes seconds."""
    results: list[T] = []
    with progress(count, description) as bar, ThreadPoolExecutor(os.cpu_count()) as threads:
        for start in range(0, count, 1024):  # an interrupt waits for one part, not for all
            part = range(start, min(start + 1024, count))
            results += threads.map(task, part)
            bar.update(len(part))
    return results
