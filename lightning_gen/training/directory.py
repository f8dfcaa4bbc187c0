"""The directory of a run: ``<root>/<name>/version_<n>``."""

import json
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from lightning_gen.atomic import write_text
from lightning_gen.errors import UserError
from lightning_gen.quantities import Quantities
from lightning_gen.training.fetched import fetched_run
from lightning_gen.yaml_file import read_yaml

CONFIG = "config.yaml"
ENVIRONMENT = "environment.json"
QUANTITIES = "quantities.json"
SPLITS = "splits.csv"
LAST = "last.ckpt"
WEIGHTS = "model.safetensors"
"""The checkpoint of a published run, which has no others."""
CHECKPOINTS = (".ckpt", ".safetensors")
LONGEST_NAME = 200
PREVIOUS = "previous.ckpt"
"""What was ``last.ckpt`` before it was written anew."""


@dataclass(frozen=True)
class RunDirectory:
    """Where everything that a run leaves behind stands.

    ``config.yaml`` (enough to run it again), ``metrics.csv`` and ``quantities.json`` (what its
    columns are), ``checkpoints/``, ``images/<picture>/<step>.png``, ``environment.json``, and
    ``splits.csv`` of a dataset of files.
    """

    path: Path

    @classmethod
    def claim(cls, root: Path, name: str) -> Self:
        """Make the next version of ``name``, no other process's; a UserError where it cannot."""
        check_name(name)
        version = max((run.version for run in cls.all_of(root, name)), default=-1) + 1
        while True:
            path = root / name / f"version_{version}"
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.mkdir()
            except FileExistsError:
                if not path.exists():
                    raise UserError(f"{path.parent} is a file. Pass another --name.") from None
                version += 1
            except OSError as error:
                raise UserError(
                    f"the run cannot be written to {path}: {error.strerror}. "
                    "Pass a folder of your own with --trainer.default_root_dir."
                ) from None
            else:
                return cls(path)

    @classmethod
    def all_of(cls, root: Path, name: str) -> list[Self]:
        """All runs of this name, oldest first."""
        runs = [cls(path) for path in (root / name).glob("version_*") if path.name[8:].isdigit()]
        return sorted(runs, key=lambda run: run.version)

    @classmethod
    def of(cls, place: Path) -> Self:
        """The finished run that is meant by ``place``; a UserError where there is none.

        That is a run directory, one of its checkpoints, or the latest run of a name. ``logs/`` may
        be left out in front of any of them: ``quickstart``, ``quickstart/version_1``. A run that
        lies elsewhere, ``hf:user/name``, is :func:`fetched_run` first.
        """
        place = fetched_run(place)
        places = Path("logs") / place, place
        if place.suffix in CHECKPOINTS:
            around = [cls.around(path) for path in places if path.is_file()]
            found = [run for run in around if run is not None]
        else:
            found = [run for path in places for run in cls.all_of(path.parent, path.name)]
            found += map(cls, places)
        finished = [run for run in found if (run.path / CONFIG).is_file()]
        if finished:
            return finished[-1]
        names = sorted(folder.name for folder in Path("logs").glob("*") if folder.is_dir())
        known = f" Runs in logs: {', '.join(names[:10])}." if names else ""
        raise UserError(
            f"expected a run directory that holds {CONFIG}, a checkpoint inside one, or the name "
            f"of a run, got {place}. Finished runs stand in logs/<name>/version_<n>.{known}"
        )

    @classmethod
    def around(cls, checkpoint: Path) -> Self | None:
        """The run that a checkpoint lies in, or in its ``checkpoints`` at any depth; or none."""
        for folder in list(checkpoint.parents)[:5]:
            if (folder / CONFIG).is_file():
                return cls(folder)
        return None

    @property
    def name(self) -> str:
        """``<name>/version_<n>``, as titles write it."""
        path = self.path.absolute()
        return f"{path.parent.name}/{path.name}"

    def read_config(self) -> dict[str, Any]:
        """The content of ``config.yaml``; a UserError where it is broken or no mapping."""
        return with_keys(read_yaml(self.path / CONFIG), self.path / CONFIG)

    @property
    def version(self) -> int:
        """The number of the run among those of its name."""
        return int(self.path.name.removeprefix("version_"))

    @property
    def checkpoints(self) -> Path:
        """The folder of the checkpoints."""
        return self.path / "checkpoints"

    @property
    def images(self) -> Path:
        """The folder of the pictures."""
        return self.path / "images"

    @property
    def metrics(self) -> Path:
        """The table of everything that was logged."""
        return self.path / "metrics.csv"

    @property
    def last(self) -> Path:
        """The latest checkpoint."""
        return self.checkpoints / LAST

    @property
    def resumable(self) -> list[Path]:
        """The checkpoints that training can go on from, the latest first."""
        files = [path for path in self.checkpoints.rglob("[!.]*.ckpt") if path.is_file()]
        others = sorted(files, key=lambda path: path.stat().st_mtime, reverse=True)
        paths = dict.fromkeys([self.last, self.checkpoints / PREVIOUS, *others])
        return [path for path in paths if path in files]

    @property
    def best(self) -> Path:
        """The checkpoint of the best validation loss, else the latest; a UserError without any."""
        for path in (self.checkpoints / "best.ckpt", *self.resumable, self.path / WEIGHTS):
            if path.is_file():
                return path
        raise UserError(f"{self.path} holds no checkpoint. Train it first, or pass another run.")

    @property
    def starts(self) -> list[dict[str, Any]]:
        """The environments that the run has been trained in, the first one first."""
        try:
            first = json.loads((self.path / ENVIRONMENT).read_text(encoding="utf-8"))
            return [first, *first.get("resumed", ())]
        except (OSError, ValueError, AttributeError, TypeError):
            return []

    @property
    def quantities(self) -> Quantities:
        """What the columns of metrics.csv are; none without a file, or from a broken one."""
        try:
            content = json.loads((self.path / QUANTITIES).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return Quantities()
        return Quantities.read(content)

    def record_quantities(self, quantities: Quantities) -> None:
        """Write ``quantities.json``."""
        write_text(self.path / QUANTITIES, json.dumps(quantities.plain(), indent=2) + "\n")

    def record(self, environment: dict[str, Any], step: int) -> None:
        """Write ``environment.json``, or add to it that the run goes on from ``step``."""
        first, *others = [*self.starts, environment]
        if others:
            others[-1] |= {"step": step}
            first |= {"resumed": others}
        write_text(self.path / ENVIRONMENT, json.dumps(first, indent=2) + "\n")

    def discard_if_empty(self) -> None:
        """Remove the directory when nothing was written into it."""
        if self.path.is_dir() and not any(self.path.iterdir()):
            self.path.rmdir()
            with suppress(OSError):  # another run stands beside it
                self.path.parent.rmdir()


def check_name(name: str) -> None:
    """Raise a UserError where no run can have this name."""
    allowed = re.fullmatch(r"[\w.\-= ]+", str(name)) and name not in {".", ".."}
    if not allowed or not isinstance(name, str) or len(os.fsencode(name)) > LONGEST_NAME:
        raise UserError(
            f"name is used as a folder name, so it takes letters, digits and any of .-=_, "
            f"{LONGEST_NAME} bytes at most, got {name!r}. Pass for instance --name my_run."
        )


def default_name(model: str, data: str, arguments: Mapping[str, Any]) -> str:
    """The name of a run after the classes of its model and data; an ImageFolder is its folder's."""
    return f"{model}_{data_name(data, arguments)}".lower()


def data_name(data: str, arguments: Mapping[str, Any]) -> str:
    """The name of a dataset: its class, or the folder of an ImageFolder."""
    if data != "ImageFolder":
        return data
    folder = Path(arguments["root"]).expanduser().resolve().name
    return re.sub(r"[^\w.\-]", "_", folder)[:40] or data


def with_keys(content: object, path: Path) -> dict[str, Any]:
    """The content of a file, which is a mapping; a UserError where it is none."""
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise UserError(
            f"{path} holds no keys and values, got {str(content)[:40]!r}. Copy it anew."
        )
    return content
