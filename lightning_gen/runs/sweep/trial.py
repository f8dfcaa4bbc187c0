"""A trial: one ``fit`` in a process of its own."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import NamedTuple

from lightning_gen.runs.directory import RunDirectory
from lightning_gen.runs.sweep.outcome import Outcome, failure, read_outcome
from lightning_gen.runs.sweep.space import Plain, word
from lightning_gen.runs.sweep.sweep_file import SweepFile

GRACE_SECONDS = 10.0
"""How long a training that is told to end may take before it is killed."""


class Trial(NamedTuple):
    """What is to be trained."""

    number: int
    parameters: Mapping[str, Plain]
    folder: Path
    slot: int = 0
    lock: int = -1

    @property
    def words(self) -> list[str]:
        """The parameters as options of ``fit``."""
        return options(self.parameters)


class CutOffError(Exception):
    """The trial was stopped before its end."""


@dataclass(frozen=True)
class FitProcess:
    """Runs a trial with ``python -m lightning_gen fit`` and reads its metrics.

    Args:
        sweep: the sweep file.
        words: options of every run, from the command line.
        environments: variables of the process, for each trial of those that run at once.
    """

    sweep: SweepFile
    words: tuple[str, ...] = ()
    environments: tuple[Mapping[str, str], ...] = field(default=({},))

    def __call__(self, trial: Trial, stop: Event) -> Outcome:
        """Train, or go on with the last checkpoint.

        Raises:
            CutOffError: ``stop`` was set, or something else told the training to end.
        """
        output = trial.folder / "output.log"
        with output.open("ab") as file:
            process = subprocess.Popen(
                self.command(trial),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                pass_fds=[trial.lock] if trial.lock >= 0 else [],
                env=os.environ | self.environments[trial.slot],
                start_new_session=True,  # Ctrl-C reaches the sweep alone, which ends its trials
            )
            code = wait(process, stop)
        runs = RunDirectory.all_of(trial.folder.parent, trial.folder.name)
        if code or not runs:
            return Outcome(None, failure(output, code), str(runs[-1].path) if runs else "")
        return read_outcome(self.sweep, runs[-1])

    def command(self, trial: Trial) -> list[str]:
        """The words of the process."""
        root, name = trial.folder.parent, trial.folder.name
        begun = any(run.last.is_file() for run in RunDirectory.all_of(root, name))
        return [
            *(sys.executable, "-m", "lightning_gen"),
            *fit_words(self.sweep, self.words),
            *trial.words,
            *("--name", name, "--trainer.default_root_dir", str(root)),
            *(("--ckpt_path", "last") if begun else ()),
        ]


def fit_words(sweep: SweepFile, words: tuple[str, ...]) -> list[str]:
    """``fit`` with what all trials have in common."""
    return ["fit", "--config", str(sweep.config), *options(sweep.overrides), *words]


def options(values: Mapping[str, Plain]) -> list[str]:
    """Values as options of ``fit``; in one word, since -inf alone would be an option itself."""
    return [f"--{key}={word(value)}" for key, value in values.items()]


def wait(process: "subprocess.Popen[bytes]", stop: Event) -> int:
    """The exit code of a process, which is ended with all that it started when ``stop`` is set."""
    while process.poll() is None:
        if stop.wait(0.1):
            end(process)
            raise CutOffError
    code = process.wait()
    if code in (-signal.SIGTERM, 128 + signal.SIGTERM):
        raise CutOffError
    return code


def end(process: "subprocess.Popen[bytes]") -> None:
    """Ask a process and its children to end, and kill them where they do not."""
    os.killpg(process.pid, signal.SIGTERM)
    until = time.monotonic() + GRACE_SECONDS
    while process.poll() is None and time.monotonic() < until:
        time.sleep(0.05)
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
