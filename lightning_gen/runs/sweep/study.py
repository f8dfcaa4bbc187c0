"""The study of a sweep in Optuna's database, which several processes and machines may share."""

import json
import time
from pathlib import Path
from typing import Any
from warnings import catch_warnings

import optuna
from optuna.samplers import RandomSampler
from optuna.storages import RDBStorage, fail_stale_trials
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Engine, event, make_url
from sqlalchemy.exc import ArgumentError, IntegrityError

from lightning_gen.errors import UserError
from lightning_gen.runs.sweep.reading import SweepFile
from lightning_gen.runs.sweep.space import Plain, suggest

HEARTBEAT_SECONDS = 5
GRACE_SECONDS = 30
"""A trial whose heartbeat stopped so long ago belongs to nobody; its training has ended by then."""
SECONDS_FOR_A_LOCK = 60
"""How long a process waits while others write into a study in SQLite."""


class Study:
    """The trials of a sweep, numbered from 0.

    Each is run by one of Optuna's trials, an attempt, and by another one where that was cut off.
    Attempts have the attributes ``number`` (of the trial), ``attempt`` (from 0), ``name`` once
    values are drawn, and ``error`` where the training failed.

    Args:
        sweep: the sweep file.
        name: of the sweep.
        folder: of the sweep.
        storage: an SQLAlchemy URL; None for a file of the sweep's folder.
        trials: how many are wanted; None for as many as the file says.

    Raises:
        UserError: the storage cannot be used, or holds a sweep of this name that differs.
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
        self.url = storage or f"sqlite:///{folder / 'sweep.db'}"
        self.wanted = trials or sweep.trials
        self.storage, self.optuna = self._open()
        self._check_identity()
        self._nameless: dict[int, float] = {}

    @property
    def patience(self) -> float:
        """Seconds after which an attempt that is still running has a process that runs it."""
        return GRACE_SECONDS + 2 * HEARTBEAT_SECONDS

    def trials(self) -> dict[int, FrozenTrial]:
        """The latest attempt at each trial, by the number of the trial.

        Two processes may both queue an attempt; the first one counts.
        """
        first: dict[tuple[int, int], FrozenTrial] = {}
        for trial in self.optuna.get_trials(deepcopy=False):
            if "number" in trial.user_attrs:
                first.setdefault((trial.user_attrs["number"], trial.user_attrs["attempt"]), trial)
        return {number: first[number, attempt] for number, attempt in sorted(first)}

    def queue(self, *, retry_failed: bool = False) -> bool:
        """Queue the trials that nobody has begun and those that were cut off; whether any waits."""
        self._fail_abandoned()
        known, grid = self.trials(), self.sweep.combinations
        for number in range(self.wanted):
            last = known.get(number)
            if last is None:
                self._add(grid[number] if grid else {}, {"number": number, "attempt": 0})
            elif last.state == TrialState.FAIL and (retry_failed or is_cut_off(last)):
                goes_on = is_cut_off(last) and has_begun(last)
                about = {"attempt": last.user_attrs["attempt"] + 1, "goes_on": goes_on}
                spent = last.user_attrs.get("seconds", 0) if goes_on else 0
                self._add(last.params, about | {"number": number, "seconds": spent})
        found = self.trials()
        return any(found[n].state == TrialState.WAITING for n in range(self.wanted))

    def draw(self, trial: optuna.Trial) -> dict[str, Plain] | None:
        """The values of an attempt; None where it is not to be run."""
        number = trial.user_attrs.get("number", self.wanted)
        if number >= self.wanted or self.trials()[number].number != trial.number:
            return None
        if self.sweep.sampler is not None:
            trial.study.sampler = self.sweep.sampler.build(number)
        spaces = self.sweep.parameters
        return {key: suggest(trial, key, space) for key, space in spaces.items()}

    def worker(self) -> optuna.Study:
        """The study for one thread, which draws with a sampler of its own."""
        sampler = RandomSampler() if self.sweep.sampler is None else self.sweep.sampler.build(0)
        return optuna.load_study(study_name=self.name, storage=self.storage, sampler=sampler)

    def running(self) -> set[int]:
        """Optuna's numbers of the attempts that are being run, here or elsewhere."""
        return {t.number for t in self.trials().values() if t.state == TrialState.RUNNING}

    def _add(self, values: dict[str, Plain], about: dict[str, Any]) -> None:
        spaces = {key: self.sweep.parameters[key] for key in values}
        waiting = optuna.create_trial(
            state=TrialState.WAITING, params=values, distributions=spaces, user_attrs=about
        )
        self.optuna.add_trial(waiting)

    def _fail_abandoned(self) -> None:
        """Fail attempts whose process has ended, before its first heartbeat too."""
        with catch_warnings(action="ignore"):  # Optuna calls it experimental
            fail_stale_trials(self.optuna)
        for trial in self.trials().values():
            if trial.state == TrialState.RUNNING and "name" not in trial.user_attrs:
                seen = self._nameless.setdefault(trial.number, time.monotonic())
                if time.monotonic() - seen > GRACE_SECONDS:
                    self.optuna.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)

    def _open(self) -> tuple[RDBStorage, optuna.Study]:
        """Connect, more than once: processes that start together make the same tables."""
        optuna.logging.set_verbosity(optuna.logging.CRITICAL)
        local = self.url.startswith("sqlite")
        for tries_left in (2, 1, 0):
            try:
                return self._connect(local)
            except Exception as error:  # of SQLAlchemy, the driver, the operating system
                if tries_left and (local or isinstance(error, IntegrityError)):
                    time.sleep(0.5)
                    continue
                reason = str(error.__cause__ or error).splitlines()[0].rstrip(".")
                raise UserError(
                    "storage: expected an SQLAlchemy URL such as sqlite:///sweeps.db or "
                    f"postgresql://user@host/database, and {shown(self.url)} cannot be opened: "
                    f"{reason}."
                ) from error
        raise AssertionError

    def _connect(self, local: bool) -> tuple[RDBStorage, optuna.Study]:
        arguments = {"timeout": SECONDS_FOR_A_LOCK} if local else {}
        with catch_warnings(action="ignore"):  # Optuna calls heartbeats experimental
            storage = RDBStorage(
                self.url,
                engine_kwargs={"connect_args": arguments},
                heartbeat_interval=HEARTBEAT_SECONDS,
                grace_period=GRACE_SECONDS,
            )
        if local:
            lock_while_reading(storage.engine)
        return storage, optuna.create_study(
            storage=storage,
            study_name=self.name,
            direction=self.sweep.direction,
            load_if_exists=True,
        )

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


def is_cut_off(attempt: FrozenTrial) -> bool:
    """Whether an attempt ended before its training did."""
    return attempt.state == TrialState.FAIL and "error" not in attempt.user_attrs


def has_begun(attempt: FrozenTrial) -> bool:
    """Whether a training was started for an attempt, or for one before that it continues."""
    return "name" in attempt.user_attrs or bool(attempt.user_attrs.get("goes_on"))


def shown(url: str) -> str:
    """An URL without its password."""
    try:
        return make_url(url).render_as_string()
    except ArgumentError:
        return url


def lock_while_reading(engine: Engine) -> None:
    """Begin each transaction of SQLite with the lock for writing.

    Python's driver takes it at the first write, so that two processes may read the same trial as
    waiting before either takes it.
    """

    @event.listens_for(engine, "connect")
    def leave_transactions_to_us(connection: Any, record: object) -> None:  # noqa: ANN401
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:  # noqa: ANN401
        connection.exec_driver_sql("BEGIN IMMEDIATE")
