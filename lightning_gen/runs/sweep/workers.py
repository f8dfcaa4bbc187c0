"""Runs the trials of a sweep, several at once, and goes on where it was stopped."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from threading import Event, Lock

import optuna
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

from lightning_gen.errors import UserError
from lightning_gen.runs.sweep.outcome import Outcome
from lightning_gen.runs.sweep.results import Result, line, results, write_results
from lightning_gen.runs.sweep.space import trial_name
from lightning_gen.runs.sweep.study import Study, shown
from lightning_gen.runs.sweep.trial import CutOffError, Trial

SECONDS_BETWEEN_LOOKS = 2.0
"""How often a sweep with nothing left looks whether the trials of other processes go on."""

Runner = Callable[[Trial, Event], Outcome]
"""Runs a trial; raises CutOffError when the event was set."""


class NoValueError(Exception):
    """A training failed, or an attempt was not to be run."""


class Sweep:
    """The trials of a study, run on this machine.

    Args:
        study: the trials.
        folder: of the sweep; each trial has a folder in it.
        runner: runs a trial.
        say: is given each line for the screen.
        advance: is called after each trial that ended here.
    """

    def __init__(
        self,
        study: Study,
        folder: Path,
        runner: Runner,
        say: Callable[[str], object] = print,
        advance: Callable[[], object] = lambda: None,
    ) -> None:
        self.study = study
        self.folder = folder
        self.runner = runner
        self.say = say
        self.advance = advance
        self.stop = Event()
        self._mine: set[int] = set()
        self._lost: dict[int, int] = {}
        self._one_at_a_time = Lock()

    def run(self, jobs: int = 1, *, retry_failed: bool = False) -> list[Result]:
        """Run all trials that are left, ``jobs`` at once; those of the whole sweep."""
        try:
            self.study.queue(retry_failed=retry_failed)
            try:
                self._run(jobs)
            finally:
                found = self._write()
        except StorageInternalError as error:
            reason = str(error.__cause__ or error).splitlines()[0].rstrip(".")
            raise UserError(
                f"the storage {shown(self.study.url)} was lost: {reason}. The same command goes on."
            ) from error
        return found

    def _run(self, jobs: int) -> None:
        with ThreadPoolExecutor(jobs) as pool:
            workers = [pool.submit(self._work, slot) for slot in range(jobs)]
            try:
                for worker in as_completed(workers):
                    worker.result()
            finally:  # Ctrl-C, or a fault that every other trial would meet too
                self.stop.set()

    def _write(self) -> list[Result]:
        found = results(self.study)
        write_results(self.study.sweep, found, self.folder)
        return found

    def _work(self, slot: int) -> None:
        """Run trials until none is left, those included whose process was killed a moment ago."""
        study = self.study.worker()
        since = time.monotonic()
        while not self.stop.is_set():
            with self._one_at_a_time:
                waiting = self.study.queue()
            if waiting:
                self._run_next(study, slot)
                since = time.monotonic()
            elif (
                self.study.running() <= self._mine or time.monotonic() - since > self.study.patience
            ):
                return
            else:
                self.stop.wait(SECONDS_BETWEEN_LOOKS)

    def _run_next(self, study: optuna.Study, slot: int) -> None:
        """Let Optuna take the first attempt that waits, with a heartbeat while it is run."""
        try:
            study.optimize(
                lambda trial: self._attempt(trial, slot),
                n_trials=1,
                catch=(NoValueError, CutOffError),
                callbacks=[self._tell],
            )
        except ValueError:  # Optuna's, of an attempt that is not ours any more
            if slot not in self._lost:
                raise
            self.say(f"trial {self._lost.pop(slot)} was taken over by another process")

    def _attempt(self, trial: optuna.Trial, slot: int) -> float:
        parameters = self.study.draw(trial)
        if parameters is None:
            raise NoValueError
        about = trial.user_attrs
        name = trial_name(about["number"], parameters)
        trial.set_user_attr("name", name)
        self._mine.add(trial.number)
        start = time.monotonic() - about.get("seconds", 0)
        asked = Trial(parameters, self.folder / name, slot, about.get("goes_on", False))
        try:
            try:
                outcome = self.runner(asked, self.stop)
            finally:
                trial.set_user_attr("seconds", time.monotonic() - start)
            trial.set_user_attr("directory", outcome.directory)
            trial.set_user_attr("test", dict(outcome.test))
            if outcome.value is None:
                trial.set_user_attr("error", outcome.error)
                raise NoValueError
        except UpdateFinishedTrialError:  # this machine slept, and others took its trial for dead
            self._lost[slot] = about["number"]
            raise
        return outcome.value

    def _tell(self, _: optuna.Study, trial: FrozenTrial) -> None:
        """Write the results after a trial that ended, and say it."""
        if trial.state != TrialState.COMPLETE and "error" not in trial.user_attrs:
            return
        with self._one_at_a_time:
            number = trial.user_attrs["number"]
            [done] = [result for result in self._write() if result.number == number]
            self.say(line(self.study.sweep, done))
            self.advance()
