"""One process at a time builds in a folder, and what dead ones left is removed."""

import fcntl
import os
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lightning.pytorch.utilities import rank_zero_info

SECONDS_BETWEEN_TRIES = 0.1
STALE_SECONDS = 24 * 3600
"""A draft of another machine that was not written to for so long is of a dead process."""


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder, which is made, after those who had it before.

    The system takes the lock from a process that dies. Where the file system has no locks, none is
    held: two processes may then do the same work, each in a draft of its own.

    Raises:
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o666)
    try:
        locked = _wait(descriptor, folder)
        _remove_leftovers(folder, locked)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def draft_of(path: Path) -> Iterator[Path]:
    """A hidden path beside ``path``, of this process alone, which becomes it if all goes well."""
    draft = path.with_name(f".{_machine()}-{os.getpid()}-{path.name}")
    try:
        yield draft
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _wait(descriptor: int, folder: Path) -> bool:
    """Whether the lock is held; not where the file system has none."""
    told = False
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if not told:
                rank_zero_info(f"Waiting for another process that decodes images into {folder}.")
            told = True
            time.sleep(SECONDS_BETWEEN_TRIES)
        except OSError:
            return False


def _remove_leftovers(folder: Path, locked: bool) -> None:
    """Remove drafts that nobody writes: of this machine, since the lock is held, and old ones."""
    for draft in folder.glob(".*-*-*"):
        with suppress(OSError):
            ours = locked and draft.name.startswith(f".{_machine()}-")
            if ours or time.time() - draft.stat().st_mtime > STALE_SECONDS:
                draft.unlink()


def _machine() -> str:
    return re.sub(r"\W+", "_", socket.gethostname(), flags=re.ASCII)
