"""The study of a sweep in Optuna's database, which several processes and machines may share."""

import json
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import optuna
from filelock import FileLock, Timeout
from optuna.samplers import RandomSampler
from optuna.storages import BaseStorage, RDBStorage, get_storage
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Engine, event, make_url
from sqlalchemy.exc import ArgumentError

from lightning_gen.errors import UserError
from lightning_gen.runs.sweep.reading import SweepFile
from lightning_gen.runs.sweep.space import StudyValue

SECONDS_FOR_A_LOCK = 60
"""How long a process waits while others write into a study in SQLite."""


class Study:
    """The trials of a sweep, numbered from 0.

    Each is run by one of Optuna's trials, an attempt, and by another one where that was cut off.
    Attempts have the attributes ``number`` (of the trial), ``attempt`` (from 0), ``process`` (which
    runs it), ``name`` once values are drawn, and ``error`` where the training failed. ``storage``
    is an SQLAlchemy URL, by default of a file of the folder; of ``trials`` as many are wanted as
    the file says, by default. A UserError says that the storage cannot be used, or holds a sweep of
    this name that differs.
    """

    def __init__(
        self,
        sweep: SweepFile,
        name: str,
        folder: Path,
        *,
        storage: str | None = None,
        trials: int | None = None,
    ) -> None:
        self.sweep = sweep
        self.name = name
        self.folder = folder
        self.url = storage or f"sqlite:///{folder / 'sweep.db'}"
        self.wanted = trials or sweep.trials
        self.process = uuid4().hex
        self.storage, self.optuna = self._open()
        self._check_identity()

    def trials(self) -> dict[int, FrozenTrial]:
        """The latest attempt at each trial, by the number of the trial.

        Two processes may both begin an attempt; the first one counts.
        """
        first: dict[tuple[int, int], FrozenTrial] = {}
        for trial in self.optuna.get_trials(deepcopy=False):
            if "number" in trial.user_attrs:
                first.setdefault(key_of(trial), trial)
        return {number: first[number, attempt] for number, attempt in sorted(first)}

    def claim(self, again: Collection[tuple[int, int]] = ()) -> optuna.Trial | None:
        """An attempt of this process at a trial that nobody has begun or that was cut off; or None.

        Those of ``again``, by trial and attempt, failed and are to be followed by another.
        """
        known, grid = self.trials(), self.sweep.combinations
        for number in range(self.wanted):
            last = known.get(number)
            about: dict[str, Any] = {"number": number, "attempt": 0}
            values = grid[number] if grid else {}
            if last is not None:
                if not is_cut_off(last) and key_of(last) not in again:
                    continue
                goes_on = is_cut_off(last) and has_begun(last)
                spent = last.user_attrs.get("seconds", 0) if goes_on else 0
                attempt = last.user_attrs["attempt"] + 1
                about |= {"attempt": attempt, "goes_on": goes_on, "seconds": spent}
                values = last.params
            if (trial := self._begin(values, about)) is not None:
                return trial
        return None

    def _begin(self, values: dict[str, StudyValue], about: dict[str, Any]) -> optuna.Trial | None:
        """Write an attempt into the database; None where another process did so before."""
        template = optuna.create_trial(
            state=TrialState.RUNNING,
            params=values,
            distributions={key: self.sweep.parameters[key] for key in values},
            user_attrs=about | {"process": self.process},
        )
        study = self.storage.get_study_id_from_name(self.name)
        place = self.storage.create_new_trial(study, template)
        first = self.trials()[about["number"]]
        if first.number != self.storage.get_trial_number_from_id(place):
            self.storage.set_trial_state_values(place, TrialState.FAIL)
            return None
        build = self.sweep.sampler
        sampler = build(about["number"]) if build else RandomSampler()
        kept = optuna.load_study(study_name=self.name, storage=self.storage, sampler=sampler)
        return optuna.Trial(kept, place)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Hold the lock of this process in the sweep's folder.

        The system takes the lock back when the process dies, however it ends, and leaves its file:
        that is proof for all that see this folder. Of a process whose file is not there, as on a
        machine that has a folder of its own, nothing is known, and its trials are left to it.
        """
        path = self._lock(self.process)
        try:
            with FileLock(path):
                yield
        finally:
            path.unlink(missing_ok=True)

    def fail_abandoned(self) -> bool:
        """Fail attempts whose process has died; whether there were any."""
        running = [t for t in self.trials().values() if t.state == TrialState.RUNNING]
        others = [(t, t.user_attrs.get("process")) for t in running]
        dead = [(t, p) for t, p in others if p != self.process and is_free(self._lock(p))]
        for trial, process in dead:
            self.optuna.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)
            self._lock(process).unlink(missing_ok=True)
        return bool(dead)

    def _lock(self, process: str | None) -> Path:
        return self.folder / f".{process}.lock"

    def _open(self) -> tuple[BaseStorage, optuna.Study]:
        """Connect, more than once: processes that start together make the same tables."""
        optuna.logging.set_verbosity(optuna.logging.CRITICAL)
        for tries_left in (2, 1, 0):
            try:
                local = self.url.startswith("sqlite")
                arguments = {"timeout": SECONDS_FOR_A_LOCK} if local else {}
                database = RDBStorage(self.url, engine_kwargs={"connect_args": arguments})
                if local:
                    lock_while_reading(database.engine)
                storage, direction = get_storage(database), self.sweep.direction
                return storage, optuna.create_study(
                    storage=storage,
                    study_name=self.name,
                    direction=direction,
                    load_if_exists=True,
                )
            except Exception as error:  # of SQLAlchemy, the driver, the operating system
                if tries_left:
                    time.sleep(0.5)
                    continue
                raise UserError(
                    "storage: expected an SQLAlchemy URL such as sqlite:///sweeps.db or "
                    f"postgresql://user@host/database, and {shown(self.url)} cannot be opened: "
                    f"{reason(error)}."
                ) from error
        raise AssertionError

    def _check_identity(self) -> None:
        """Raise a UserError where the study was begun with another sweep file."""
        asked = self.sweep.identity
        kept = self.optuna.user_attrs.get("identity")
        if kept is None:
            self.optuna.set_user_attr("identity", asked)
        for key, old in (kept or {}).items():
            if old != asked[key]:
                raise UserError(
                    f"the sweep {self.name} was begun with {key} {json.dumps(old)}, and "
                    f"{self.sweep.path} now says {json.dumps(asked[key])}. Pass another --name, or "
                    f"delete {shown(self.url)}."
                )


def key_of(attempt: FrozenTrial) -> tuple[int, int]:
    """The number of the trial, and of the attempt at it."""
    return attempt.user_attrs["number"], attempt.user_attrs["attempt"]


def is_cut_off(attempt: FrozenTrial) -> bool:
    """Whether an attempt ended before its training did."""
    return attempt.state == TrialState.FAIL and "error" not in attempt.user_attrs


def has_begun(attempt: FrozenTrial) -> bool:
    """Whether a training was started for an attempt, or for one before that it continues."""
    return "name" in attempt.user_attrs or bool(attempt.user_attrs.get("goes_on"))


def is_free(lock: Path) -> bool:
    """Whether there is a lock that no process holds."""
    if not lock.is_file():
        return False
    try:
        with FileLock(lock, blocking=False):
            return True
    except Timeout:
        return False


def reason(error: BaseException) -> str:
    """What a database says of an error, in one line."""
    return str(error.__cause__ or error).splitlines()[0].rstrip(".")


def shown(url: str) -> str:
    """An URL without its password."""
    try:
        return make_url(url).render_as_string()
    except ArgumentError:
        return url


def lock_while_reading(engine: Engine) -> None:
    """Begin each transaction of SQLite with the lock for writing.

    Python's driver takes it at the first write, so that two processes may read the same state
    before either writes.
    """

    @event.listens_for(engine, "connect")
    def leave_transactions_to_us(connection: Any, record: object) -> None:  # noqa: ANN401
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:  # noqa: ANN401
        connection.exec_driver_sql("BEGIN IMMEDIATE")
