"""Files that are written whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import get_ident


@contextmanager
def draft(path: Path) -> Iterator[Path]:
    """A hidden path beside ``path``, which it becomes when the block ends well.

    A reader, or a crash, sees the old file or the new one. The folders above it are made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = f"{os.getpid()}_{get_ident()}"
    unfinished = path.with_name(f".{writer}.{path.name}")
    try:
        yield unfinished
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file of UTF-8; bytes of a file name that are none are escaped."""
    with draft(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8", errors="backslashreplace")
