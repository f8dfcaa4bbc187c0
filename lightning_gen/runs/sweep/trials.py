"""Runs the trials of a sweep, several at once, and goes on where it was stopped."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from threading import Event, Lock

from optuna.trial import FrozenTrial, TrialState

from lightning_gen.runs.sweep.lock import TrialLock
from lightning_gen.runs.sweep.outcome import Outcome
from lightning_gen.runs.sweep.results import Result, line, results, write_results
from lightning_gen.runs.sweep.study import Study
from lightning_gen.runs.sweep.trial import CutOffError, Trial

SECONDS_BETWEEN_LOOKS = 2.0
"""How often a sweep with nothing left looks whether other processes have ended their trials."""

Runner = Callable[[Trial, Event], Outcome]
"""Runs a trial; raises CutOffError when the event was set."""


class Sweep:
    """The trials of a study, run on this machine.

    A trial belongs to the process that holds the lock of its folder. One that the study calls
    running and that nobody holds was cut off, and is run again.

    Args:
        study: the trials.
        folder: of the sweep; a trial has the folder ``trial_<number>`` in it.
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
        self.mine: set[int] = set()
        self.stop = Event()
        self._one_at_a_time = Lock()

    def run(self, jobs: int = 1) -> list[Result]:
        """Run all trials that are left, ``jobs`` at once; those of the whole sweep."""
        with ThreadPoolExecutor(jobs) as pool:
            workers = [pool.submit(self._work, slot) for slot in range(jobs)]
            try:
                for worker in as_completed(workers):
                    worker.result()
            finally:  # Ctrl-C, or a fault that every other trial would meet too
                self.stop.set()
        return self.write()

    def write(self) -> list[Result]:
        """Write results.csv and results.png."""
        found = results(self.study)
        write_results(self.study.sweep, found, self.folder)
        return found

    def trial_folder(self, number: int) -> Path:
        """The folder of a trial, which is also the name of its run."""
        return self.folder / f"trial_{number:04d}"

    def _work(self, slot: int) -> None:
        while not self.stop.is_set():
            with TrialLock.wait(self.folder):  # SQLite may hand one waiting trial to two that ask
                claimed = self._claim()
            if claimed is not None:
                trial, lock = claimed
                try:
                    self._run_trial(trial, lock.descriptor, slot)
                finally:
                    lock.release()
            elif self._running_here():
                self._wait_for_others()
            else:
                return

    def _wait_for_others(self) -> None:
        with self._one_at_a_time:
            others = {trial.number for trial in self._running_here()} - self.mine
            if others:
                self.mine |= others  # said once
                numbers = ", ".join(map(str, sorted(others)))
                self.say(f"waiting for trial {numbers}, which another process trains")
        self.stop.wait(SECONDS_BETWEEN_LOOKS)

    def _claim(self) -> tuple[FrozenTrial, TrialLock] | None:
        """A trial that was cut off, or a new one; None where nothing is left."""
        for trial in self._running_here():
            lock = self._take(trial)
            if lock is not None:
                return trial, lock
        new = self.study.ask()
        if new is None:
            return None
        lock = self._take(new)
        return self._claim() if lock is None else (new, lock)

    def _take(self, trial: FrozenTrial) -> TrialLock | None:
        """The lock of a trial; None where another process has it, or has ended the trial by now."""
        lock = TrialLock.take(self.trial_folder(trial.number))
        if lock is None or trial.number in {other.number for other in self._running_here()}:
            return lock
        lock.release()
        return None

    def _running_here(self) -> list[FrozenTrial]:
        """Unfinished trials of this folder; those of other machines have no folder here."""
        return [
            trial
            for trial in self.study.trials()
            if trial.state == TrialState.RUNNING
            and (self.study.own or TrialLock.file(self.trial_folder(trial.number)).exists())
        ]

    def _run_trial(self, found: FrozenTrial, lock: int, slot: int) -> None:
        self.mine.add(found.number)
        parameters = self.study.parameters(found) or {}
        folder = self.trial_folder(found.number)
        trial = Trial(found.number, parameters, folder, slot, lock)
        start, spent = time.monotonic(), float(found.user_attrs.get("seconds", 0))
        try:
            outcome = self.runner(trial, self.stop)
        except CutOffError:
            self.study.note(found, {"seconds": spent + time.monotonic() - start})
            return
        values = outcome._asdict() | {"seconds": spent + time.monotonic() - start}
        del values["value"]
        self.study.note(found, values)
        self.study.tell(found, outcome.value)
        with self._one_at_a_time:
            [done] = [each for each in self.write() if each.number == found.number]
            self.say(line(self.study.sweep, done))
            self.advance()
