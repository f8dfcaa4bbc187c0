"""How a verb ends: its exit code, and one line about what went wrong."""

import errno
import logging
import os
import re
import sys
import sysconfig
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import lightning
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Trainer

import lightning_gen
from lightning_gen._compat import is_restoring
from lightning_gen.allowed import VARIABLE, enforced, modules
from lightning_gen.cli.messages import explain
from lightning_gen.data.loader import lost_worker
from lightning_gen.errors import BadArgumentsError, InterruptionError, UserError, causes, user_error
from lightning_gen.training.claim import RUN_VARIABLE, is_first_process

LIBRARIES = tuple({sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")})
LIGHTNING = str(Path(lightning.__file__).parent)
NO_MEMORY = "can't allocate memory|Storage size calculation overflowed|multiplication overflow"
NOT_WRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT)
"""What the system says of a folder that takes no file."""
NOISE = (
    "💡 Tip",
    "TPU available",
    "GPU available: False",
    "Seed set to",
    "`Trainer.fit` stopped",
    "Restoring states from",
    "Loaded model weights from",
    "Found current_model_state in the checkpoint",
    "Using bfloat16 Automatic Mixed Precision",
)
WARNINGS = (
    r"Image size \(\d+ pixels\) exceeds limit",  # a large JPEG is decoded at a fraction of it
    r"Glyph \d+ .* missing from",  # a picture shows a box
    r".*isinstance\(treespec, LeafSpec\)",
    "The number of training batches .* is smaller than",
    r"`ModelCheckpoint\(.*could not find the monitored key",  # before the first validation
    "Be aware that when using `ckpt_path`, callbacks used to create the checkpoint",
    "You're using the WeightAveraging callback, but loading a checkpoint outside",
    "The dirpath has changed from .*best_model_path",
    "Checkpoint directory .* exists and is not empty",
    "Using ModelCheckpoint with manual optimization and every_n_train_steps",
)
OUTSIDE_SLURM = "The `srun` command is available on your system but is not used"
LOGGERS = (
    "lightning.pytorch.utilities.rank_zero",
    "lightning.fabric.utilities.rank_zero",
    "lightning.fabric.utilities.seed",
)


def outcome(verb: str, task: Callable[[], None]) -> int:
    """Run ``task``; 0, 1 where it failed, 2 for bad arguments, or 128 and the number of a signal.

    What a user can put right is one line on stderr; any other error keeps its traceback.
    """
    try:
        with quiet_libraries(), enforced():
            task()
    except (BadArgumentsError, UserError, MisconfigurationException) as error:
        return _failed(verb, error)
    except Exception as error:
        found: Exception | None = lost_worker(error) or lack_of_memory(error)
        if found is None and (told := fault_of_another(error)):
            found = UserError(told)
        if found is None:
            raise
        return _failed(verb, found)
    return 0


def fault_of_another(error: BaseException, *, lightnings: bool = True) -> str | None:
    """An error of somebody's own class, or of a part of Lightning, in a line; None for others.

    Lightning's own errors are told only where ``lightnings``.
    """
    frames = traceback.extract_tb(error.__traceback__)
    ours = (*LIBRARIES, str(Path(lightning_gen.__file__).parent))
    own = [frame for frame in frames if not frame.filename.startswith((*ours, "<"))]
    said = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(".")
    if own and modules(os.environ.get(VARIABLE, "")):
        place = f"{Path(own[-1].filename).name}, line {own[-1].lineno}, in {own[-1].name}"
        return f"{place}: {said}. Set LIGHTNING_GEN_TRACEBACK=1 to see the whole traceback."
    if lightnings and frames and frames[-1].filename.startswith(LIGHTNING):
        part = Path(frames[-1].filename).stem
        return f"Lightning's {part} says: {said}. Change the options of trainer that it is about."
    return None


def _failed(verb: str, error: Exception) -> int:
    if os.environ.get("LIGHTNING_GEN_TRACEBACK"):
        traceback.print_exc()
    if is_first_process() or not isinstance(error, InterruptionError):
        print(f"lightning-gen {verb}: {' '.join(str(error).split())}", file=sys.stderr)
    if isinstance(error, InterruptionError):
        # Lightning kills the first process when one that it has started ends otherwise.
        started_by_it = RUN_VARIABLE in os.environ and not is_first_process()
        return 0 if started_by_it else 128 + error.signal
    return 2 if isinstance(error, BadArgumentsError) else 1


def lack_of_memory(error: BaseException) -> UserError | None:
    """What to tell a user where a device or the machine could not give what a tensor needs."""
    for each in causes(error):
        said = " ".join(str(each).split())
        if isinstance(each, MemoryError | torch.OutOfMemoryError) or re.search(NO_MEMORY, said):
            return UserError(
                f"there is not enough memory ({said[-200:]}). Choose a smaller model, smaller "
                "images or a smaller data.batch_size."
            )
    return None


def fault_of_a_constructor(error: Exception) -> str | None:
    """What to tell a user where data, model or trainer cannot be built; None for other faults."""
    if cause := user_error(error):
        return str(cause)
    if lack_of_memory(error):
        return None
    known = isinstance(error, MisconfigurationException | ValueError | ModuleNotFoundError)
    for each in causes(error):  # jsonargparse raises its own
        if told := fault_of_another(each, lightnings=not known):
            return told
    return explain(str(error), error) if known else None


@contextmanager
def told_to_the_user(trainer: Trainer) -> Iterator[None]:
    """Within, what the user can put right becomes a UserError or a BadArgumentsError."""
    try:
        yield
    except (InterruptionError, MisconfigurationException):
        raise
    except UserError as error:
        if trainer.global_step == 0:  # nothing was lost: the data or the arguments
            raise BadArgumentsError(str(error)) from error
        raise
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.EEXIST, errno.ENOTDIR):
            remedy = "It was taken away or replaced while it was needed: put it right, or begin "
            remedy += "anew."
        elif error.errno in NOT_WRITABLE:
            remedy = "Make room there, or change its permissions; a new run goes to a folder of "
            remedy += "your own with --trainer.default_root_dir."
        else:
            raise
        raise UserError(f"{error}. {remedy}") from error
    except Exception as error:
        if not is_restoring(trainer):
            raise
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise BadArgumentsError(
            f"{trainer.ckpt_path} cannot be restored ({reason}). Pass another checkpoint of the "
            "run."
        ) from error


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Filter Lightning's notices; our own lines go through the same logger."""
    loggers = [logging.getLogger(name) for name in LOGGERS]
    for logger in loggers:
        logger.addFilter(_useful)
    try:
        with warnings.catch_warnings():
            for message in WARNINGS:
                warnings.filterwarnings("ignore", message)
            if "SLURM_JOB_ID" not in os.environ:  # in a job it is worth reading
                warnings.filterwarnings("ignore", OUTSIDE_SLURM)
            yield
    finally:
        for logger in loggers:
            logger.removeFilter(_useful)


def _useful(record: logging.LogRecord) -> bool:
    message = re.sub(r"\A\[rank: \d+\] ", "", record.getMessage())
    return not message.startswith(NOISE)
