"""Which run directory a training writes."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from filelock import FileLock, Timeout
from lightning.pytorch.utilities import rank_zero_info, rank_zero_only
from torch import distributed

from lightning_gen.errors import BadArgumentsError, InterruptionError, UserError, bad_arguments
from lightning_gen.training.checkpoint import newest_whole
from lightning_gen.training.directory import RunDirectory, check_name
from lightning_gen.training.environment import is_restart, job

RUN_VARIABLE = "LIGHTNING_GEN_RUN"
"""How a process that Lightning starts for another device learns the run's directory."""


class Claim(NamedTuple):
    """The directory of a training, and the checkpoint that it goes on from, if any."""

    directory: RunDirectory
    ckpt_path: str | None


@contextmanager
def claimed(root: Path, name: str, ckpt_path: str | None) -> Iterator[Claim]:
    """The directory of a training, which no other process trains meanwhile, and where it begins.

    With ``ckpt_path`` last it is that of the latest run of the name. A job that a cluster has
    started again goes on with the run that it was at; one that it interrupts is queued again. A
    BadArgumentsError says that none can be made, that another process has it, or that there is no
    run to go on with.
    """
    try:
        with _held(root, name, ckpt_path) as claim:
            yield claim
    except InterruptionError as error:
        if error.signal == signal.SIGUSR1 and is_first_process():
            requeue()  # last: Slurm ends all processes then
        raise
    finally:
        if is_first_process():
            os.environ.pop(RUN_VARIABLE, None)


@contextmanager
def _held(root: Path, name: str, ckpt_path: str | None) -> Iterator[Claim]:
    """Choose the directory, and hold its lock."""
    with bad_arguments():
        directory = begun = begun_run(root, name, ckpt_path)
        if directory is not None:
            ckpt_path = str(newest_whole(directory)) if directory.resumable else None
            kept: dict[str, Any] = {}
            with suppress(UserError):
                kept = directory.read_config().get("trainer", {})
            if ckpt_path is None and kept.get("enable_checkpointing") is False:
                raise UserError(
                    f"{directory.path} keeps no checkpoints (trainer.enable_checkpointing is "
                    "false), so it cannot go on. Start a run of its own."
                )
        elif is_first_process():
            directory = RunDirectory.claim(root, name)
            os.environ[RUN_VARIABLE] = str(directory.path)
        else:
            unknown = root / name / "version_unknown"
            directory = RunDirectory(Path(os.environ.get(RUN_VARIABLE, unknown)))
        if distributed.is_available() and distributed.is_initialized():  # a process's second run
            found: list[Any] = [directory, ckpt_path]
            distributed.broadcast_object_list(found)
            directory, ckpt_path = found
    claim = Claim(directory, ckpt_path)
    if not is_first_process():
        yield claim
        return
    held = FileLock(directory.path / ".lock")
    try:
        held.acquire(blocking=False)
    except Timeout as error:
        raise BadArgumentsError(
            f"{directory.path} is being trained by another process. Wait for its end, or start a "
            "run of its own without --ckpt_path."
        ) from error
    try:
        if begun and ckpt_path is None:
            said = "was ended before its first checkpoint: it begins anew"
            rank_zero_info(f"{directory.path} {said}")
        yield claim
    finally:
        held.release()
        Path(held.lock_file).unlink(missing_ok=True)
        directory.discard_if_empty()


def begun_run(root: Path, name: str, ckpt_path: str | None) -> RunDirectory | None:
    """The run to go on with, None to begin a new one; a UserError where the last one is missing."""
    check_name(name)
    runs = RunDirectory.all_of(root, name)
    if ckpt_path == "last":
        if not runs:
            raise UserError(
                f"ckpt_path last: there is no run in {root / name}. Start one without --ckpt_path."
            )
        return runs[-1]
    if ckpt_path is not None:
        return None
    this = job(), sys.argv
    for run in reversed(runs) if is_restart() else ():
        if any((start.get("job"), start.get("command")) == this for start in run.starts):
            return run
    return None


def is_first_process() -> bool:
    """Whether this process writes the run."""
    return bool(rank_zero_only.rank == 0)  # type: ignore[attr-defined]


def requeue() -> None:
    """Let Slurm start this job again, with the same number; nothing outside of Slurm.

    Slurm itself does so for a job that it preempts, and not for one whose time is over.
    """
    number = os.environ.get("SLURM_JOB_ID")
    if number is None or shutil.which("scontrol") is None:
        return
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # Slurm sends it before the answer is here
    answer = subprocess.run(["scontrol", "requeue", number], capture_output=True, text=True)
    if answer.returncode == 0:
        rank_zero_info(f"Slurm has queued job {number} again, which goes on by itself.")
    else:
        reason = " ".join(answer.stderr.split())
        rank_zero_info(f"Slurm did not queue job {number} again ({reason}). Submit it once more.")
