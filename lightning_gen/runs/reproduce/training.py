"""Trains the runs of a target, each in a process of its own."""

import json
import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import IO, Any, NamedTuple

from lightning_gen.errors import UserError
from lightning_gen.runs.reproduce.table import Target
from lightning_gen.runs.sweep.trial import SAFE, as_words
from lightning_gen.training.directory import RunDirectory
from lightning_gen.training.scores import read_scores

ERROR = "lightning-gen fit: "


class NotRunError(UserError):
    """Data or weights of the target cannot be had here."""


class Finished(NamedTuple):
    """What a finished run left: the cards of its test split, and its ``environment.json``."""

    cards: dict[str, Any]
    environment: dict[str, Any]

    @property
    def minutes(self) -> float:
        """From the start of the training to the last score, pauses included."""
        begun = datetime.fromisoformat(self.environment["started"])
        ended = max(datetime.fromisoformat(card["date"]) for card in self.cards.values())
        return (ended - begun).total_seconds() / 60


def name_of_run(target: Target, number: int) -> str:
    """The name of a run in ``logs``."""
    return f"reproduce_{target.name}_{number}"


def finished(target: Target, number: int, root: Path) -> Finished | None:
    """The latest finished run of this number; None where there is none."""
    for run in reversed(RunDirectory.all_of(root, name_of_run(target, number))):
        cards: dict[str, Any] = read_scores(run.path).get("test", {})
        environment = run.path / "environment.json"
        if cards and environment.is_file():
            return Finished(cards, json.loads(environment.read_text(encoding="utf-8")))
    return None


def train_run(target: Target, number: int, root: Path, *, fresh: bool) -> Finished:
    """Run ``fit``, whose output goes to the screen; what was cut off goes on, unless ``fresh``.

    Raises:
        NotRunError: it could not start, as where its data cannot be had.
        UserError: it failed, or its experiment gives no scores.
    """
    name = name_of_run(target, number)
    command = [sys.executable, "-P", "-m", "lightning_gen", "fit", "--config", target.config]
    command += [*as_words(target.combinations[number]), "--name", name]
    command += ["--trainer.default_root_dir", str(root)]
    runs = RunDirectory.all_of(root, name)
    if not fresh and runs and not read_scores(runs[-1].path) and runs[-1].last.is_file():
        command += ["--ckpt_path", "last"]
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, bufsize=1, env=os.environ | SAFE
    ) as process:
        assert process.stderr is not None
        try:
            last = echoed(process.stderr)
        except KeyboardInterrupt:  # the fit has had it too, and may be writing a checkpoint
            process.wait()
            raise
    if process.returncode == 2:
        raise NotRunError(last.removeprefix(ERROR) or "its arguments were refused")
    if process.returncode != 0:
        raise UserError(f"{name} failed: {last.removeprefix(ERROR)}")
    run = finished(target, number, root)
    if run is None:
        raise UserError(f"{name} has no scores. Let {target.config} have callbacks that evaluate.")
    return run


def echoed(stream: IO[str]) -> str:
    """Show what a process says, and give back its last line."""
    last = ""
    for line in stream:
        sys.stderr.write(line)
        sys.stderr.flush()
        last = line.strip() or last
    return last
