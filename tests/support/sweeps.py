"""Sweep files, and a training that takes no time."""

import csv
import os
import random
import shutil
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import NamedTuple

import yaml
from filelock import FileLock, Timeout
from optuna.storages import RDBStorage
from sqlalchemy import Engine, event

from lightning_gen.atomic import write_text
from lightning_gen.runs.sweep import workers
from lightning_gen.runs.sweep.reading import read_sweep
from lightning_gen.runs.sweep.results import begun
from lightning_gen.runs.sweep.study import Study
from lightning_gen.runs.sweep.trial import Outcome

BASE = """
model:
  class_path: VAE
  init_args: {latent_dim: 2, architecture: {class_path: Dense, init_args: {widths: [8]}}}
data: {class_path: MiniFashionMNIST, init_args: {batch_size: 50}}
trainer: {log_every_n_steps: 1}
default_pictures: false
"""
GRID = {
    "config": "base.yaml",
    "metric": "val/loss",
    "parameters": {"model.latent_dim": [2, 4, 8], "model.optimizer.lr": [0.1, 0.01]},
}
RANDOM = GRID | {
    "sampler": {"class_path": "optuna.samplers.RandomSampler", "init_args": {"seed": 0}},
    "trials": 5,
    "parameters": {
        "model.optimizer.lr": {"low": 0.001, "high": 0.1, "log": True},
        "model.architecture.widths": [[8], [16, 8]],
    },
}


def write_sweep(folder, content=GRID, name="own.yaml", **changes):
    """Write a sweep and its base configuration; the path of the sweep."""
    write_text(folder / "base.yaml", BASE)  # whole: others may be reading it
    path = folder / name
    write_text(path, yaml.safe_dump(content | changes))
    return path


@cache
def database():
    """A file of Optuna without a study; to make its tables takes a second."""
    path = Path(tempfile.mkdtemp(prefix="optuna-")) / "empty.db"
    RDBStorage(f"sqlite:///{path}")
    return path


@event.listens_for(Engine, "connect")
def _leave_files_to_the_system(connection, record):
    """A test need not survive that the machine loses its power."""
    connection.execute("PRAGMA synchronous = OFF")


def open_study(folder, content=GRID, logs=None, **options):
    """Write a sweep into ``folder`` and open its study, as the command does."""
    logs = logs or folder
    logs.mkdir(parents=True, exist_ok=True)
    if not (logs / "sweep.db").exists():
        shutil.copy(database(), logs / "sweep.db")
    return Study(read_sweep(write_sweep(folder, content)), "own", logs, **options)


def results_in(folder):
    """The rows of a sweep's results.csv."""
    with (folder / "results.csv").open(newline="") as file:
        return list(csv.DictReader(file))


class Found(NamedTuple):
    """What a sweep tells of a trial."""

    number: int
    state: str
    parameters: dict
    value: float | None


def found_in(study):
    """All trials of a study that were begun."""
    return [
        Found(trial.user_attrs["number"], study.state(trial), trial.params, trial.value)
        for trial in begun(study)
    ]


def number_of(trial):
    """The number in the name of a trial's folder."""
    return int(trial.folder.name.split("_")[1])


class FakeFit:
    """A runner whose metric is the sum of the parameters that are numbers.

    Args:
        cut_off: what is done instead at these calls, counted from 0: the sweep is interrupted.
        failing: trials of these numbers fail.
    """

    def __init__(self, cut_off=(), failing=()):
        self.cut_off, self.failing = cut_off, failing
        self.calls, self.ended = [], []

    def __call__(self, trial, stop):
        self.calls.append(trial)
        if len(self.calls) - 1 in self.cut_off:
            stop.set()
        if stop.is_set():
            return None
        self.ended.append(trial)
        if number_of(trial) in self.failing:
            return Outcome(None, "ValueError: the loss is no number", str(trial.folder))
        numbers = [v for v in trial.parameters.values() if isinstance(v, float | int)]
        return Outcome(float(sum(numbers)), "", str(trial.folder), {"test/loss": 1.5})


def sixty_trials(folder, ready):
    """Run the sweep ``own.yaml`` of a folder; ``doubled`` is left where a trial is run twice."""
    os.chdir(folder)
    workers.write_results = lambda *_: None

    def runner(trial, stop):
        trial.folder.mkdir(exist_ok=True)
        try:
            with FileLock(trial.folder / "lock", blocking=False):
                time.sleep(random.uniform(0, 0.3))
        except Timeout:
            Path("doubled").touch()
        return Outcome(1.0)

    Path("own").mkdir(exist_ok=True)
    study = Study(read_sweep(Path("own.yaml")), "own", Path("own"), trials=60)
    ready.send("ready")
    workers.Sweep(study, runner).run(jobs=2)
