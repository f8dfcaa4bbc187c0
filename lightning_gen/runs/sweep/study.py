"""The study of a sweep in Optuna's database, which several processes and machines may share."""

import json
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import optuna
from filelock import FileLock, Timeout
from optuna.distributions import distribution_to_json
from optuna.storages import BaseStorage, RDBStorage, get_storage
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from lightning_gen.errors import UserError
from lightning_gen.runs.sweep.reading import SweepFile
from lightning_gen.runs.sweep.space import StudyValue

SECONDS_FOR_A_LOCK = 60
"""How long a process waits while others write into a study in SQLite."""
STATES = {TrialState.COMPLETE: "complete", TrialState.FAIL: "failed"}


class Study:
    """The trials of a sweep, numbered from 0, each of them a trial of Optuna.

    It has the attributes ``number``, ``attempt`` (from 0: one that failed may be followed by
    another), ``process`` (which runs it), ``name`` once values are drawn, and those of its outcome.
    One that was cut off stays RUNNING, and is whose process takes it up. ``storage`` is an
    SQLAlchemy URL, by default of a file of the folder; of ``trials`` as many are wanted as the file
    says, by default. A UserError says that the storage cannot be used, or holds a sweep of this
    name that differs.
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

    def state(self, trial: FrozenTrial) -> str:
        """Complete, failed, running, or interrupted: its process has died."""
        dead = trial.state == TrialState.RUNNING and is_free(self._lock(trial))
        return "interrupted" if dead else STATES.get(trial.state, "running")

    def claim(self, again: Collection[tuple[int, int]] = ()) -> optuna.Trial | None:
        """A trial that nobody has begun, or that a dead process has left, as this one's; or None.

        Those of ``again``, by trial and attempt, failed and are to be followed by another.
        """
        known = self.trials()
        for number in range(self.wanted):
            trial, last = None, known.get(number)
            if last is None:
                trial = self._begin(number, 0, {})
            elif last.state == TrialState.RUNNING:
                trial = self._take_over(last)
            elif key_of(last) in again:
                trial = self._begin(number, last.user_attrs["attempt"] + 1, last.params)
            if trial is not None:
                return trial
        return None

    def _begin(
        self, number: int, attempt: int, values: Mapping[str, StudyValue]
    ) -> optuna.Trial | None:
        """Write an attempt into the database; None where another process did so before."""
        template = optuna.create_trial(
            state=TrialState.RUNNING,
            params=dict(values),
            distributions={key: self.sweep.parameters[key] for key in values},
            user_attrs={"number": number, "attempt": attempt, "process": self.process},
        )
        study = self.storage.get_study_id_from_name(self.name)
        place = self.storage.create_new_trial(study, template)
        if self.trials()[number].number != self.storage.get_trial_number_from_id(place):
            self.storage.set_trial_state_values(place, TrialState.FAIL)
            return None
        return self._trial(place, number)

    def _take_over(self, last: FrozenTrial) -> optuna.Trial | None:
        """The trial of a process that has died, whose lock keeps others from doing the same."""
        lock, number = self._lock(last), last.user_attrs["number"]
        if not lock.is_file():
            return None
        with suppress(Timeout), FileLock(lock, blocking=False):
            left = self._running(last.user_attrs["process"])
            if number in left:
                study = self.storage.get_study_id_from_name(self.name)
                place = self.storage.get_trial_id_from_study_id_trial_number(study, last.number)
                trial = self._trial(place, number)
                trial.set_user_attr("process", self.process)
                if len(left) == 1:
                    lock.unlink(missing_ok=True)
                return trial
        return None

    def _trial(self, place: int, number: int) -> optuna.Trial:
        sampler = self.sweep.sampler(number)
        study = optuna.load_study(study_name=self.name, storage=self.storage, sampler=sampler)
        return optuna.Trial(study, place)

    def _running(self, process: str) -> list[int]:
        """The numbers of the trials that a process has not ended."""
        found = [t for t in self.trials().values() if t.user_attrs["process"] == process]
        return [t.user_attrs["number"] for t in found if t.state == TrialState.RUNNING]

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Hold the lock of this process in the sweep's folder.

        The system takes the lock back when the process dies, however it ends. Its file stays as
        long as there are trials that it has not ended: that is proof for all that see this folder.
        Of a process whose file is not there, as on a machine that has a folder of its own, nothing
        is known, and its trials are left to it.
        """
        lock = self.folder / f".{self.process}.lock"
        with FileLock(lock):
            try:
                yield
            finally:
                if not self._running(self.process):
                    lock.unlink(missing_ok=True)

    def _lock(self, trial: FrozenTrial) -> Path:
        return self.folder / f".{trial.user_attrs['process']}.lock"

    def _open(self) -> tuple[BaseStorage, optuna.Study]:
        """Connect, more than once: processes that start together make the same tables."""
        optuna.logging.set_verbosity(optuna.logging.CRITICAL)
        wait = {"timeout": SECONDS_FOR_A_LOCK} if self.url.startswith("sqlite") else {}
        for tries_left in (2, 1, 0):
            try:
                storage = get_storage(RDBStorage(self.url, engine_kwargs={"connect_args": wait}))
                return storage, optuna.create_study(
                    storage=storage,
                    study_name=self.name,
                    direction=self.sweep.direction,
                    load_if_exists=True,
                )
            except Exception as error:  # of SQLAlchemy, the driver, the operating system
                if not tries_left:
                    raise UserError(
                        "storage: expected an SQLAlchemy URL such as sqlite:///sweeps.db or "
                        f"postgresql://user@host/database, and {shown(self.url)} cannot be opened: "
                        f"{reason(error)}."
                    ) from error
                time.sleep(0.5)
        raise AssertionError

    def _check_identity(self) -> None:
        """Raise a UserError where the study was begun with another sweep file."""
        sweep = self.sweep
        parameters = {key: distribution_to_json(each) for key, each in sweep.parameters.items()}
        asked = {
            **{"config": sweep.config.name, "metric": sweep.metric_name, "grid": sweep.grid},
            **{"direction": sweep.direction, "overrides": sweep.overrides},
            "parameters": {key: json.loads(text)["attributes"] for key, text in parameters.items()},
        }
        kept = self.optuna.user_attrs.get("identity")
        if kept is None:
            self.optuna.set_user_attr("identity", asked)
        for key, old in (kept or {}).items():
            if old != asked[key]:
                raise UserError(
                    f"the sweep {self.name} was begun with {key} {json.dumps(old)}, and "
                    f"{sweep.path} now says {json.dumps(asked[key])}. Pass another --name, or "
                    f"delete {shown(self.url)}."
                )


def key_of(attempt: FrozenTrial) -> tuple[int, int]:
    """The number of the trial, and of the attempt at it."""
    return attempt.user_attrs["number"], attempt.user_attrs["attempt"]


def is_free(lock: Path) -> bool:
    """Whether there is a lock that no process holds."""
    with suppress(Timeout):
        if lock.is_file():
            with FileLock(lock, blocking=False):
                return True
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
