"""Which run directory a command reads or writes."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from jsonargparse import Namespace
from lightning.pytorch.utilities import rank_zero_info, rank_zero_only

from lightning_gen.errors import BadArgumentsError, UserError, bad_arguments
from lightning_gen.runs import RunDirectory
from lightning_gen.runs.checkpoint import newest_whole
from lightning_gen.runs.directory import CONFIG, check_name
from lightning_gen.runs.environment import is_restart, job

RUN_VARIABLE = "LIGHTNING_GEN_RUN"
"""How a process that Lightning starts for another device learns the run's directory."""
NO_RUN = (
    "a trained model is needed: pass its run directory, logs/<name>/version_<n>, or one of its "
    "checkpoints."
)


@bad_arguments()
def expand_run(words: list[str]) -> list[str]:
    """``VERB RUN ...`` as ``VERB --config RUN/config.yaml --ckpt_path BEST ...``.

    The nodes that trained the run are not those of now: one, unless the words say otherwise. A
    BadArgumentsError says that there is no such run.
    """
    verb, *rest = words
    if verb == "fit" or (rest and rest[0].startswith("-")):
        return words
    if not rest:
        raise UserError(NO_RUN)
    place = Path(rest[0])
    directory = RunDirectory.of(place)
    checkpoint = place if place.suffix == ".ckpt" else directory.best
    config = str(directory.path / CONFIG)
    one = ["--trainer.num_nodes", "1"]
    return [verb, "--config", config, "--ckpt_path", str(checkpoint), *one, *rest[1:]]


@contextmanager
def claimed(options: Namespace) -> Iterator[RunDirectory]:
    """The directory of a training, which no other process trains meanwhile.

    With ``ckpt_path last`` it is that of the latest run, whose path it becomes. A job that a
    cluster has started again goes on with the run that it was at. A BadArgumentsError says that
    none can be made, that another process has it, or that there is no run to go on with.
    """
    root = Path(options.trainer.default_root_dir or "logs")
    with bad_arguments():
        directory = begun = begun_run(options, root)
        if directory is not None:
            options.ckpt_path = str(newest_whole(directory)) if directory.resumable else None
        elif is_first_process():
            directory = RunDirectory.claim(root, options.name)
            os.environ[RUN_VARIABLE] = str(directory.path)
        else:
            unknown = root / options.name / "version_unknown"
            directory = RunDirectory(Path(os.environ.get(RUN_VARIABLE, unknown)))
    if not is_first_process():
        yield directory
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
        if begun and options.ckpt_path is None:
            said = "was ended before its first checkpoint: it begins anew"
            rank_zero_info(f"{directory.path} {said}")
        yield directory
    finally:
        held.release()
        Path(held.lock_file).unlink(missing_ok=True)
        directory.discard_if_empty()


def begun_run(options: Namespace, root: Path) -> RunDirectory | None:
    """The run to go on with, None to begin a new one; a UserError where the last one is missing."""
    check_name(options.name)
    runs = RunDirectory.all_of(root, options.name)
    if options.ckpt_path == "last":
        if not runs:
            raise UserError(
                f"ckpt_path last: there is no run in {root / options.name}. Start one without "
                "--ckpt_path."
            )
        return runs[-1]
    if options.ckpt_path is not None:
        return None
    this = job(), sys.argv
    for run in reversed(runs) if is_restart() else ():
        if any((start.get("job"), start.get("command")) == this for start in run.starts):
            return run
    return None


def default_name(options: Namespace) -> str:
    """The name of the configuration file, or of the model and the data, a folder by its name."""
    if options.config:
        return Path(str(options.config[-1])).stem
    model, data = (part.class_path.rpartition(".")[2] for part in (options.model, options.data))
    if data == "ImageFolder":
        folder = Path(options.data.init_args.root).expanduser().resolve().name
        data = re.sub(r"[^\w.\-]", "_", folder)[:40] or data
    return f"{model}_{data}".lower()


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
