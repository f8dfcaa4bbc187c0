"""The study of a sweep in Optuna's database, which several processes and machines may share."""

import json
import time
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import optuna
from filelock import FileLock, Timeout
from optuna.distributions import distribution_to_json
from optuna.storages import BaseStorage, RDBStorage, get_storage
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from lightning_gen.errors import UserError
from lightning_gen.runs.sweep.reading import SweepFile
from lightning_gen.runs.sweep.trial import Outcome

SECONDS_FOR_A_LOCK = 60
"""How long a process waits while others write into a study in SQLite."""
STATES = {TrialState.COMPLETE: "complete", TrialState.FAIL: "failed"}


class Study:
    """The trials of a sweep, numbered from 0, each of them a trial of Optuna.

    It has the attributes ``number``, ``attempt`` (from 0: one that failed may be followed by
    another), ``name`` once values are drawn, and those of its outcome. Who runs it holds its lock,
    a file in the sweep's folder that the system takes back when the process dies, however it ends:
    one that was cut off stays RUNNING, and its lock is free. Of a trial whose lock is not there, as
    that of a machine with a folder of its own, nothing is known, and it is left to that machine.

    ``storage`` is an SQLAlchemy URL, by default of a file of the folder; of ``trials`` as many are
    wanted as the file says, by default. A UserError says that the storage cannot be used, or holds
    a sweep of this name that differs.
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
        cut_off = trial.state == TrialState.RUNNING and is_free(self._lock(key_of(trial)[0]))
        return "interrupted" if cut_off else STATES.get(trial.state, "running")

    @contextmanager
    def claimed(self, again: Collection[tuple[int, int]] = ()) -> Iterator[optuna.Trial | None]:
        """A trial that nobody has ended or runs, this process's own in the block; or None.

        Those of ``again``, by trial and attempt, failed and are to be followed by another.
        """
        known = self.trials()
        for number in range(self.wanted):
            with ExitStack() as held:
                trial = self._claim(number, known.get(number), again, held)
                if trial is not None:
                    yield trial
                    return
        yield None

    def _claim(
        self,
        number: int,
        last: FrozenTrial | None,
        again: Collection[tuple[int, int]],
        held: ExitStack,
    ) -> optuna.Trial | None:
        """A trial whose lock is ``held`` from now on; None where it has ended or others run it."""
        lock, begins = self._lock(number), last is None or key_of(last) in again
        ended = last is not None and last.state != TrialState.RUNNING
        if not begins and (ended or not lock.is_file()):
            return None
        try:
            held.enter_context(FileLock(lock, blocking=False))
        except Timeout:
            return None
        trial = self._begin(number, last) if begins else self._take_up(number)
        if trial is None:
            lock.unlink(missing_ok=True)
        return trial

    def end(self, trial: optuna.Trial, outcome: Outcome) -> None:
        """Write what came of a trial into the database."""
        for name in ("directory", "test", "error"):
            trial.set_user_attr(name, getattr(outcome, name))
        state = TrialState.FAIL if outcome.value is None else TrialState.COMPLETE
        trial.study.tell(trial, outcome.value, state)
        self._lock(trial.user_attrs["number"]).unlink(missing_ok=True)

    def _begin(self, number: int, failed: FrozenTrial | None) -> optuna.Trial | None:
        """Write an attempt into the database; None where another process did so before."""
        values = failed.params if failed else {}
        attempt = failed.user_attrs["attempt"] + 1 if failed else 0
        template = optuna.create_trial(
            state=TrialState.RUNNING,
            params=values,
            distributions={key: self.sweep.parameters[key] for key in values},
            user_attrs={"number": number, "attempt": attempt},
        )
        study = self.storage.get_study_id_from_name(self.name)
        place = self.storage.create_new_trial(study, template)
        if self.trials()[number].number != self.storage.get_trial_number_from_id(place):
            self.storage.set_trial_state_values(place, TrialState.FAIL)
            return None
        return self._trial(place, number)

    def _take_up(self, number: int) -> optuna.Trial | None:
        """The trial that a process has left; None where another one has ended it meanwhile."""
        last = self.trials()[number]
        if last.state != TrialState.RUNNING:
            return None
        study = self.storage.get_study_id_from_name(self.name)
        place = self.storage.get_trial_id_from_study_id_trial_number(study, last.number)
        return self._trial(place, number)

    def _trial(self, place: int, number: int) -> optuna.Trial:
        sampler = self.sweep.sampler(number)
        study = optuna.load_study(study_name=self.name, storage=self.storage, sampler=sampler)
        return optuna.Trial(study, place)

    def _lock(self, number: int) -> Path:
        return self.folder / f".trial_{number:04d}.lock"

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
