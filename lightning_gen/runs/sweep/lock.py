"""Who runs a trial: the process that holds the lock of its folder."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lightning_gen.errors import UserError

SECONDS_BETWEEN_TRIES = 0.02


class TrialLock:
    """A lock that ends with the processes that hold it, however they end.

    The process of the trial inherits it: where the sweep alone is killed, nobody else takes the
    trial before its training has ended too.

    Attributes:
        descriptor: of the open file, to be inherited.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    @classmethod
    def take(cls, folder: Path) -> "TrialLock | None":
        """The lock of the folder of a trial, which is made; None where another process has it.

        Raises:
            UserError: the folder cannot be written, or its file system has no locks.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(cls.file(folder), os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise UserError(
                f"{folder} cannot be written: {error.strerror}. "
                "Pass a folder of your own with --trainer.default_root_dir."
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if isinstance(error, BlockingIOError):
                return None
            raise UserError(
                f"{folder} cannot be locked: {error.strerror}. "
                "Pass a folder on another file system with --trainer.default_root_dir."
            ) from error
        return cls(descriptor)

    @classmethod
    @contextmanager
    def wait(cls, folder: Path) -> Iterator[None]:
        """Hold the lock of a folder, after those who had it before."""
        while (lock := cls.take(folder)) is None:
            time.sleep(SECONDS_BETWEEN_TRIES)
        try:
            yield
        finally:
            lock.release()

    @staticmethod
    def file(folder: Path) -> Path:
        """The file that is locked."""
        return folder / ".lock"

    def release(self) -> None:
        """Let others have it."""
        with suppress(OSError):
            os.close(self.descriptor)
