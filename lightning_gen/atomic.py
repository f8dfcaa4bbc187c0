"""Files that are written whole or not at all."""

import csv
import errno
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from threading import get_ident
from typing import Any
from zlib import crc32

import numpy as np
from PIL import Image

from lightning_gen.errors import UserError, causes

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def draft(path: Path) -> Iterator[Path]:
    """A hidden path beside ``path``, which it becomes when the block ends well.

    A reader, or a crash, sees the old file or the new one. The folders above it are made. A
    UserError says that the disk is full; the old file stays.
    """
    # A hash in place of the name, which may be as long as names can be.
    writer = f"{os.getpid()}_{get_ident()}_{crc32(os.fsencode(path.name)):x}"
    unfinished = path.with_name(f".draft_{writer}{path.suffix[:10]}")
    with room_for(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            yield unfinished
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)


def discard_drafts(folder: Path) -> None:
    """Remove the halves of files that killed processes have left below ``folder``."""
    for unfinished in folder.rglob(".draft_*"):
        unfinished.unlink(missing_ok=True)


@contextmanager
def room_for(path: Path) -> Iterator[None]:
    """Within, an error of a full disk becomes a UserError, which names ``path``."""
    try:
        yield
    except Exception as error:
        full = [each for each in causes(error) if isinstance(each, OSError) and each.errno in FULL]
        if not full:
            raise
        why = "a file may not be so large" if full[0].errno == errno.EFBIG else "the disk is full"
        raise UserError(
            f"{why}: {path} was not written, and what stood there before is whole. Free space on "
            f"that disk, such as old runs of {path.parent}, or write elsewhere."
        ) from error


def write_text(path: Path, text: str) -> None:
    """Write a text file of UTF-8; bytes of a file name that are none are escaped."""
    with draft(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8", errors="backslashreplace")


def copy_file(source: Path, path: Path) -> None:
    """Write the bytes of a file into another one."""
    with draft(path) as unfinished:
        shutil.copyfile(source, unfinished)


def copy_missing(source: Path, names: Iterable[PurePath], folder: Path) -> None:
    """Copy the files of these names into another folder, but those that stand there already."""
    for name in names:
        if (source / name).is_file() and not (folder / name).exists():
            copy_file(source / name, folder / name)


def write_rows(path: Path, rows: Iterable[Iterable[object]]) -> None:
    """Write a CSV file; bytes of a file name that are no UTF-8 are escaped."""
    form: dict[str, Any] = {"encoding": "utf-8", "errors": "backslashreplace", "newline": ""}
    with draft(path) as unfinished, unfinished.open("w", **form) as file:
        csv.writer(file).writerows(rows)


def no_formula(text: str) -> str:
    """A text that no spreadsheet takes for a formula (OWASP, CSV injection)."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def write_png(pixels: np.ndarray, path: Path) -> None:
    """Write an RGB array [H, W, 3] of uint8 as a PNG."""
    with draft(path) as unfinished:
        Image.fromarray(pixels).save(unfinished, format="PNG")
