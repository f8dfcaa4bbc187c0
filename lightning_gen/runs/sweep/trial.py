"""A trial: one ``fit`` in a process of its own, and what came of it."""

import math
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import NamedTuple

from lightning_gen.errors import UserError, nearest
from lightning_gen.runs.sweep.reading import SweepFile
from lightning_gen.runs.sweep.space import StudyValue, word
from lightning_gen.training.directory import RunDirectory
from lightning_gen.training.metrics_file import read_rows

GRACE_SECONDS = 10.0
"""How long a training that is told to end may take before it is killed."""
SAFE = {"PYTHONSAFEPATH": "1"}
"""As ``python -P``, and for the processes that it starts: no import from the working directory."""
MODULE = "lightning_gen.cli.sweep_trial"
"""Takes the words of ``fit``, and ends when its stdin does: no training outlives its sweep."""
ERROR_LINE = re.compile(r"lightning-gen \w+: (.+)|((?:\w+\.)*\w*(?:Error|Exception|Interrupt)\b.*)")


class Trial(NamedTuple):
    """What is to be trained, into the runs of ``folder``.

    ``slot`` is its place among the trials that run at once; one that ``goes_on`` continues the run
    of an attempt that was cut off.
    """

    parameters: Mapping[str, StudyValue]
    folder: Path
    slot: int = 0
    goes_on: bool = False


class Outcome(NamedTuple):
    """What came of a trial; without a value it failed."""

    value: float | None
    error: str = ""
    directory: str = ""
    test: Mapping[str, float] = {}


@dataclass(frozen=True)
class FitProcess:
    """Runs a trial as ``fit`` in a process and reads its metrics.

    ``words`` are options of every run, from the command line; ``environments`` the variables of
    each process of those that run at once.
    """

    sweep: SweepFile
    words: tuple[str, ...] = ()
    environments: tuple[Mapping[str, str], ...] = ({},)

    def __call__(self, trial: Trial, stop: Event) -> Outcome | None:
        """Train, or go on with the last checkpoint; None where it was told to end before."""
        trial.folder.mkdir(parents=True, exist_ok=True)
        output = trial.folder / "output.log"
        with output.open("ab") as file:
            process = subprocess.Popen(
                self.command(trial),
                stdin=subprocess.PIPE,
                stdout=file,
                stderr=subprocess.STDOUT,
                env={**shown_as(trial), **os.environ, **SAFE, **self.environments[trial.slot]},
                start_new_session=True,  # Ctrl-C reaches the sweep alone, which ends its trials
            )
        with process:
            code = wait(process, stop)
        if code is None:
            return None
        runs = RunDirectory.all_of(trial.folder.parent, trial.folder.name)
        if code or not runs:
            return Outcome(None, failure(output, code), str(runs[-1].path) if runs else "")
        return read_outcome(self.sweep, runs[-1])

    def command(self, trial: Trial) -> list[str]:
        """The words of the process."""
        root, name = trial.folder.parent, trial.folder.name
        runs = RunDirectory.all_of(root, name)
        return [
            *(sys.executable, "-P", "-m", MODULE),  # no module of the working directory
            *fit_words(self.sweep, self.words),
            *as_words(trial.parameters),
            *("--name", name, "--trainer.default_root_dir", str(root)),
            *(("--ckpt_path", "last") if trial.goes_on and runs and runs[-1].resumable else ()),
        ]


def shown_as(trial: Trial) -> dict[str, str]:
    """Variables by which W&B shows the trials of a sweep as one group."""
    return {"WANDB_RUN_GROUP": trial.folder.parent.name[:128], "WANDB_JOB_TYPE": "trial"}


def fit_words(sweep: SweepFile, words: tuple[str, ...]) -> list[str]:
    """``fit`` with what all trials have in common."""
    return ["fit", "--config", str(sweep.config), *as_words(sweep.overrides), *words]


def as_words(values: Mapping[str, StudyValue]) -> list[str]:
    """Values as options of ``fit``; in one word, since -inf alone would be an option itself."""
    return [f"--{key}={word(value)}" for key, value in values.items()]


def wait(process: "subprocess.Popen[bytes]", stop: Event) -> int | None:
    """The exit code; None of one that was told to end, as it and its children are by ``stop``."""
    while process.poll() is None:
        if stop.wait(0.1):
            end(process)
            return None
    told = process.returncode in (-signal.SIGTERM, 128 + signal.SIGTERM)
    return None if told else process.returncode


def end(process: "subprocess.Popen[bytes]") -> None:
    """Ask a process and its children to end, and kill them where they do not."""
    until = time.monotonic() + GRACE_SECONDS
    with suppress(ProcessLookupError):  # it has just ended
        os.killpg(process.pid, signal.SIGTERM)
        while process.poll() is None and time.monotonic() < until:
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def failure(output: Path, code: int) -> str:
    """The last line of a log that tells of an error; the last line where none does."""
    if code == -signal.SIGKILL:
        return "it was killed, as the system does when memory runs out"
    lines = output.read_text(encoding="utf-8", errors="replace").splitlines()
    lines = [line.strip() for line in lines if line.strip()]
    if found := [match for match in map(ERROR_LINE.fullmatch, lines) if match]:
        return found[-1][1] or found[-1][2]
    return lines[-1] if lines else f"exit code {code}, and it printed nothing"


def read_outcome(sweep: SweepFile, run: RunDirectory) -> Outcome:
    """The metric's best value over the epochs, and the test's; a UserError without that metric."""
    rows = read_rows(run.metrics)
    for column in sweep.metric:
        if rows and column not in rows[0]:
            raise UserError(
                f"metric: the run logs no {column}{nearest(column, rows[0])} "
                "Mend the sweep file and pass another --name."
            )
    whole = [row for row in rows if all(row[column] for column in sweep.metric)]
    values = [sum(float(row[column]) for column in sweep.metric) for row in whole]
    values = [value for value in values if math.isfinite(value)]
    if not values:
        return Outcome(None, f"{sweep.metric_name} was never a number", str(run.path))
    tests = {k: float(v) for row in rows for k, v in row.items() if k.startswith("test/") and v}
    best = min(values) if sweep.direction == "minimize" else max(values)
    return Outcome(best, "", str(run.path), tests)
