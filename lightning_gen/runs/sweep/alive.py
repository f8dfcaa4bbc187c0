"""How the processes of a sweep know of each other that they live."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from filelock import FileLock, Timeout
from optuna.trial import FrozenTrial, TrialState


class Presence:
    """A process at work in the folder of a sweep, which holds a lock there.

    The system takes the lock back when the process dies, however it ends, and leaves its file: that
    is proof for all that see this folder. Of a process whose file is not there, as on a machine
    that has a folder of its own, nothing is known, and its trials are left to it.
    """

    def __init__(self, folder: Path) -> None:
        self.process = uuid4().hex
        self._folder = folder

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Hold the lock of this process."""
        path = self._lock(self.process)
        try:
            with FileLock(path):
                yield
        finally:
            path.unlink(missing_ok=True)

    def abandoned(self, trials: Iterable[FrozenTrial]) -> list[FrozenTrial]:
        """The attempts of processes that have died."""
        running = [trial for trial in trials if trial.state == TrialState.RUNNING]
        others = [t for t in running if t.user_attrs.get("process") not in (None, self.process)]
        return [t for t in others if is_free(self._lock(t.user_attrs["process"]))]

    def bury(self, process: str) -> None:
        """Take away the lock of a process that has died."""
        self._lock(process).unlink(missing_ok=True)

    def _lock(self, process: str) -> Path:
        return self._folder / f".{process}.lock"


def is_free(path: Path) -> bool:
    """Whether there is a lock that no process holds."""
    if not path.is_file():
        return False
    try:
        with FileLock(path, blocking=False):
            return True
    except Timeout:
        return False
