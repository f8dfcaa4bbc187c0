"""How the processes of a sweep know of each other that they live."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from uuid import uuid4

import optuna
from filelock import FileLock, Timeout
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

BEAT_SECONDS = 5.0
GRACE_SECONDS = 30.0
"""An attempt that was watched for so long without a beat belongs to nobody; its training has ended
by then."""


class Watch:
    """What a process shows of itself in the folder of a sweep, and sees of others.

    It holds a lock there, which is proof for all that see this folder, however busy the machine is.
    For other machines it counts up a number in each attempt that it runs.
    """

    def __init__(self, folder: Path) -> None:
        self.process = uuid4().hex
        self._folder = folder
        self._seen: dict[int, tuple[object, float, bool]] = {}
        self._looked = -GRACE_SECONDS

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Hold the lock of this process."""
        path = self._lock(self.process)
        try:
            with FileLock(path):
                yield
        finally:
            path.unlink(missing_ok=True)

    @contextmanager
    def beating(self, trial: optuna.Trial) -> Iterator[None]:
        """Count up the attribute ``beat`` of an attempt."""
        ended = Event()

        def beat() -> None:
            count = 0
            with suppress(UpdateFinishedTrialError, StorageInternalError):
                while not ended.wait(BEAT_SECONDS):
                    count += 1
                    trial.set_user_attr("beat", count)

        thread = Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def look(self, trials: Iterable[FrozenTrial]) -> tuple[list[FrozenTrial], bool]:
        """The attempts of dead processes, and whether there are more of which it is not known yet.

        A beat that differs from that of the last look is a sign of life only where that look was a
        moment ago.
        """
        now, dead, unsure = time.monotonic(), [], False
        if now - self._looked > GRACE_SECONDS:
            self._seen = {}
        self._looked = now
        for trial in trials:
            process, beat = (trial.user_attrs.get(name) for name in ("process", "beat"))
            if trial.state != TrialState.RUNNING or process == self.process:
                continue
            before, since, lives = self._seen.get(trial.number, (beat, now, False))
            if before != beat or is_held(self._lock(process)):
                since, lives = now, True
            elif now - since > GRACE_SECONDS:
                dead.append(trial)
                self._lock(process).unlink(missing_ok=True)
                lives = False
            self._seen[trial.number] = (beat, since, lives)
            unsure |= not lives
        return dead, unsure

    def _lock(self, process: object) -> Path:
        return self._folder / f".{process}.lock"


def is_held(path: Path) -> bool:
    """Whether a process holds a lock; none does where there is no such file."""
    if not path.is_file():
        return False
    try:
        with FileLock(path, blocking=False):
            return False
    except Timeout:
        return True
