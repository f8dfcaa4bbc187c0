"""Runs the trials of a sweep, several at once, and goes on where it was stopped."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from threading import Event, Lock

import optuna
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

from lightning_gen.errors import UserError
from lightning_gen.runs.sweep.results import begun, line, write_results
from lightning_gen.runs.sweep.space import suggest, trial_name
from lightning_gen.runs.sweep.study import Study, key_of, reason, shown
from lightning_gen.runs.sweep.trial import Outcome, Trial

Runner = Callable[[Trial, Event], Outcome | None]
"""Runs a trial; None where it was cut off, as it is when the event is set."""


class Sweep:
    """The trials of a study, each in a folder of its own, run on this machine by ``runner``.

    ``say`` is given a line about each trial that has ended.
    """

    def __init__(self, study: Study, runner: Runner, say: Callable[[str], object] = print) -> None:
        self.study = study
        self.runner = runner
        self.say = say
        self.stop = Event()
        self._again: set[tuple[int, int]] = set()
        self._one_at_a_time = Lock()

    def run(self, jobs: int = 1, *, retry_failed: bool = False) -> list[FrozenTrial]:
        """Run all trials that are left, ``jobs`` at once; all of the sweep that have begun."""
        try:
            if retry_failed:
                known = self.study.trials().values()
                self._again = {key_of(each) for each in known if each.state == TrialState.FAIL}
            try:
                with ThreadPoolExecutor(jobs) as pool:
                    workers = [pool.submit(self._work, slot) for slot in range(jobs)]
                    try:
                        for worker in as_completed(workers):
                            worker.result()
                    finally:  # Ctrl-C, or a fault that every other trial would meet too
                        self.stop.set()
            finally:
                found = self._write()
        except StorageInternalError as error:
            raise UserError(
                f"the storage {shown(self.study.url)} was lost: {reason(error)}. The same command "
                "goes on."
            ) from error
        return found

    def _write(self) -> list[FrozenTrial]:
        found = begun(self.study)
        write_results(self.study, found)
        return found

    def _work(self, slot: int) -> None:
        """Run trials until none is left."""
        while not self.stop.is_set():
            with ExitStack() as held:
                with self._one_at_a_time:
                    trial = held.enter_context(self.study.claimed(self._again))
                if trial is None:
                    return
                self._run_trial(trial, slot)

    def _run_trial(self, trial: optuna.Trial, slot: int) -> None:
        about = trial.user_attrs
        spaces = self.study.sweep.parameters.items()
        parameters = {key: suggest(trial, key, space) for key, space in spaces}
        name = trial_name(about["number"], parameters)
        asked = Trial(parameters, self.study.folder / name, slot, goes_on="name" in about)
        start = time.monotonic() - about.get("seconds", 0)
        try:
            trial.set_user_attr("name", name)
            try:
                outcome = self.runner(asked, self.stop)
            finally:
                trial.set_user_attr("seconds", time.monotonic() - start)
            if outcome is None:
                return
            self.study.end(trial, outcome)
        except UpdateFinishedTrialError:  # its lock was lost, and others took its trial for dead
            self.say(f"trial {about['number']} was taken over by another process")
            return
        with self._one_at_a_time:
            self._write()
            self.say(line(self.study.sweep, self.study.trials()[about["number"]]))
