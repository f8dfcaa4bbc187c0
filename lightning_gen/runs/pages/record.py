"""What the files of a run's directory say; neither the model nor the dataset is needed."""

import json
import shlex
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from lightning_gen import models
from lightning_gen.errors import UserError
from lightning_gen.runs.directory import CONFIG, RunDirectory
from lightning_gen.runs.metrics_file import read_rows
from lightning_gen.runs.pages.logged import Logged

SLACK = timedelta(minutes=5)
"""config.yaml is written so soon after a start, so its time tells whether files keep theirs."""


@dataclass(frozen=True)
class RunRecord:
    """The files of a run.

    Attributes:
        path: the run's directory.
        config_text: the text of ``config.yaml``.
        config: its content.
        environment: ``environment.json``; empty where there is none.
        logged: ``metrics.csv``; without rows where there is none.
    """

    path: Path
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
        text = (directory.path / CONFIG).read_text(encoding="utf-8", errors="replace")
        config = _mapping(yaml.safe_load, text, directory.path / CONFIG, yaml.YAMLError)
        path = directory.path / "environment.json"
        text_of_environment = path.read_text(encoding="utf-8") if path.is_file() else "{}"
        environment = _mapping(json.loads, text_of_environment, path, ValueError)
        return cls(directory.path, text, config, environment, _read_metrics(directory.metrics))

    @property
    def name(self) -> str:
        """``<name>/version_<n>``."""
        path = self.path.resolve()
        return f"{path.parent.name}/{path.name}"

    def part(self, key: str) -> str:
        """The short name of a class of the configuration, such as ``model``; empty without one."""
        return class_name(self.config.get(key))

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments of the model."""
        model = self.config.get("model")
        return (model.get("init_args") or {}) if isinstance(model, dict) else {}

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
        return f"lightning-gen fit --config {shlex.quote(str(self.path / CONFIG))}"

    @property
    def duration(self) -> timedelta | None:
        """From the start to the last checkpoint; None where the files do not keep their times."""
        last = RunDirectory(self.path).last
        started = self.environment.get("started")
        if not isinstance(started, str) or not last.is_file():
            return None
        try:
            start = datetime.fromisoformat(started)
            written = [
                datetime.fromtimestamp(file.stat().st_mtime, start.tzinfo)
                for file in (self.path / CONFIG, last)
            ]
        except ValueError:
            return None
        kept = abs(written[0] - start) < SLACK
        return max(written[1] - start, timedelta(0)) if kept else None


def class_name(part: object) -> str:
    """The short name of a class that a configuration names."""
    path = part.get("class_path") if isinstance(part, dict) else part
    return path.rpartition(".")[2] if isinstance(path, str) else ""


def _mapping(read: Any, text: str, path: Path, error: type[Exception]) -> dict[str, Any]:  # noqa: ANN401
    try:
        content = read(text)
    except error as reason:
        raise UserError(
            f"{path} is broken ({' '.join(str(reason).split())[:200]}). Copy the run once more."
        ) from reason
    if not isinstance(content, dict):
        raise UserError(f"{path} holds no keys and values, got {text[:40]!r}. Copy it once more.")
    return content


def _read_metrics(path: Path) -> Logged:
    try:
        logged = Logged(read_rows(path))
        logged.curves  # noqa: B018  (read now, so that a fault is found now)
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise UserError(
            f"{path} is no table of numbers with a column 'step' ({error}). Copy the run once more."
        ) from error
    return logged
