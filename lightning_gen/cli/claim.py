"""Which directory a training writes into."""

import os
import sys
from pathlib import Path

from filelock import FileLock, Timeout
from jsonargparse import Namespace
from lightning.pytorch.utilities import rank_zero_info, rank_zero_only

from lightning_gen.cli.parser import BadArgumentsError
from lightning_gen.errors import UserError
from lightning_gen.runs import RunDirectory
from lightning_gen.runs.checkpoint import newest_whole
from lightning_gen.runs.environment import is_restart, job

RUN_VARIABLE = "LIGHTNING_GEN_RUN"
"""How a process that Lightning starts for another device learns the run's directory."""


def claim_directory(options: Namespace) -> RunDirectory:
    """A new directory, or with ``ckpt_path last`` that of the latest run, whose path it becomes.

    A job that a cluster has started again goes on with the run that it was at.

    Raises:
        BadArgumentsError: no directory can be made, or there is no run to go on with.
    """
    root = Path(options.trainer.default_root_dir or "logs")
    name = options.name
    begun = begun_run(options, RunDirectory.all_of(root, name))
    if begun is not None:
        try:
            options.ckpt_path = str(newest_whole(begun)) if begun.resumable else None
        except UserError as error:
            raise BadArgumentsError(str(error)) from error
        if options.ckpt_path is None:
            rank_zero_info(f"{begun.path} was ended before its first checkpoint: it begins anew")
        return begun
    if not is_first_process():
        return RunDirectory(Path(os.environ.get(RUN_VARIABLE, root / name / "version_unknown")))
    try:
        directory = RunDirectory.claim(root, name)
    except UserError as error:
        raise BadArgumentsError(str(error)) from error
    os.environ[RUN_VARIABLE] = str(directory.path)
    return directory


def begun_run(options: Namespace, runs: list[RunDirectory]) -> RunDirectory | None:
    """The run to go on with; None where a new one is to begin.

    Raises:
        BadArgumentsError: it is asked for, and there is none.
    """
    if options.ckpt_path == "last":
        if not runs:
            place = Path(options.trainer.default_root_dir or "logs") / options.name
            raise BadArgumentsError(
                f"ckpt_path last: there is no run in {place}. Start one without --ckpt_path."
            )
        return runs[-1]
    if options.ckpt_path is not None:
        return None
    this = job(), sys.argv
    for run in reversed(runs) if is_restart() else ():
        if any((start.get("job"), start.get("command")) == this for start in run.starts):
            return run
    return None


def lock(directory: RunDirectory) -> FileLock:
    """The right to train a run, until it is released or this process ends.

    Raises:
        BadArgumentsError: another process has it.
    """
    found = FileLock(directory.path / ".lock")
    try:
        found.acquire(blocking=False)
    except Timeout as error:
        raise BadArgumentsError(
            f"{directory.path} is being trained by another process. Wait for its end, or start a "
            "run of its own without --ckpt_path."
        ) from error
    return found


def release(held: FileLock) -> None:
    """Give up the right to train a run."""
    held.release()
    Path(held.lock_file).unlink(missing_ok=True)


def default_name(options: Namespace) -> str:
    """The name of the configuration file, or of the model and the data."""
    if options.config:
        return Path(str(options.config[-1])).stem
    classes = (options.model.class_path, options.data.class_path)
    return "_".join(path.rpartition(".")[2].lower() for path in classes)


def is_first_process() -> bool:
    """Whether this process writes the run."""
    return bool(rank_zero_only.rank == 0)  # type: ignore[attr-defined]


def is_helper() -> bool:
    """Whether Lightning has started this process for another device of the first one's node."""
    return RUN_VARIABLE in os.environ and not is_first_process()
