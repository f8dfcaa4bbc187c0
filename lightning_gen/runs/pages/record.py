"""What the files of a run's directory say; neither the model nor the dataset is needed."""

import json
import shlex
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from lightning_gen import models
from lightning_gen.runs.directory import CONFIG, ENVIRONMENT, RunDirectory, mapping
from lightning_gen.runs.metrics_file import no_table, read_rows
from lightning_gen.runs.pages.logged import Logged

SLACK = timedelta(minutes=5)
"""config.yaml is written so soon after a start, so its time tells whether files keep theirs."""


@dataclass(frozen=True)
class RunRecord:
    """The files of a run.

    Attributes:
        directory: where they are.
        config_text: the text of ``config.yaml``.
        config: its content.
        environment: ``environment.json``; empty where there is none.
        logged: ``metrics.csv``; without rows where there is none.
    """

    directory: RunDirectory
    config_text: str
    config: dict[str, Any]
    environment: dict[str, Any]
    logged: Logged

    @classmethod
    def read(cls, place: Path) -> "RunRecord":
        """The record of a run directory, of a checkpoint inside one, or of a run's name.

        Raises:
            UserError: there is no such run, or one of its files is broken.
        """
        directory = RunDirectory.of(place.expanduser())
        path = directory.path / ENVIRONMENT
        text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else "{}"
        environment = mapping(json.loads, text, path)
        logged = Logged(read_rows(directory.metrics))
        try:
            logged.curves  # noqa: B018  (read now, so that a fault is found now)
        except ValueError as error:
            raise no_table(directory.metrics, error) from error
        return cls(directory, *directory.read_config(), environment, logged)

    def part(self, key: str) -> str:
        """The short name of a class of the configuration, such as ``model``; empty without one."""
        return class_name(self.config.get(key))

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments of the model."""
        return init_args(self.config.get("model"))

    @property
    def paper(self) -> str:
        """What the model is and where it is from; empty for a model of the user's own."""
        model = self.config.get("model")
        path = model.get("class_path") if isinstance(model, dict) else model
        module, _, name = path.rpartition(".") if isinstance(path, str) else ("", "", "")
        ours = module == models.__name__ and name in models.__all__
        return (getattr(models, name).__doc__ or "").partition("\n")[0] if ours else ""

    @property
    def repeat(self) -> str:
        """The command that runs it again."""
        return f"lightning-gen fit --config {shlex.quote(str(self.directory.path / CONFIG))}"

    @property
    def duration(self) -> timedelta | None:
        """From the start to the last checkpoint; None where the files do not keep their times."""
        started, last = self.environment.get("started"), self.directory.last
        try:
            start = datetime.fromisoformat(str(started))
            written = [
                datetime.fromtimestamp(file.stat().st_mtime, start.tzinfo)
                for file in (self.directory.path / CONFIG, last)
            ]
            kept = abs(written[0] - start) < SLACK
        except (ValueError, OverflowError, OSError):
            return None
        return max(written[1] - start, timedelta(0)) if kept and last.is_file() else None


def class_name(part: object) -> str:
    """The short name of a class that a configuration names."""
    path = part.get("class_path") if isinstance(part, dict) else part
    return path.rpartition(".")[2] if isinstance(path, str) else ""


def init_args(part: object) -> dict[str, Any]:
    """The arguments of a class that a configuration names."""
    arguments = part.get("init_args") if isinstance(part, dict) else None
    return arguments if isinstance(arguments, dict) else {}
