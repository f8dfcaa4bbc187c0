"""Which directory a training writes into."""

import os
from pathlib import Path

from jsonargparse import Namespace
from lightning.pytorch.utilities import rank_zero_only

from lightning_gen.cli.parser import BadArgumentsError
from lightning_gen.errors import UserError
from lightning_gen.runs import RunDirectory

RUN_VARIABLE = "LIGHTNING_GEN_RUN"
"""How a process that Lightning starts for another device learns the run's directory."""


def claim_directory(options: Namespace) -> RunDirectory:
    """A new directory, or with ``ckpt_path last`` that of the latest run, whose path it becomes.

    Raises:
        BadArgumentsError: no directory can be made, or there is no run to go on with.
    """
    root = Path(options.trainer.default_root_dir or "logs")
    name = options.name
    if options.ckpt_path == "last":
        runs = [run for run in RunDirectory.all_of(root, name) if run.last.is_file()]
        if not runs:
            raise BadArgumentsError(f"ckpt_path last: no run of {root / name} has a checkpoint.")
        options.ckpt_path = str(runs[-1].last)
        return runs[-1]
    if not is_first_process():
        return RunDirectory(Path(os.environ.get(RUN_VARIABLE, root / name / "version_unknown")))
    try:
        directory = RunDirectory.claim(root, name)
    except UserError as error:
        raise BadArgumentsError(str(error)) from error
    os.environ[RUN_VARIABLE] = str(directory.path)
    return directory


def default_name(options: Namespace) -> str:
    """The name of the configuration file, or of the model and the data."""
    if options.config:
        return Path(str(options.config[-1])).stem
    classes = (options.model.class_path, options.data.class_path)
    return "_".join(path.rpartition(".")[2].lower() for path in classes)


def is_first_process() -> bool:
    """Whether this process writes the run."""
    return bool(rank_zero_only.rank == 0)  # type: ignore[attr-defined]
