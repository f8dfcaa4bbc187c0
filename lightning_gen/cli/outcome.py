"""How a verb ends: its exit code, and one line about what went wrong."""

import os
import re
import sys
import sysconfig
import traceback
from collections.abc import Callable
from pathlib import Path

import lightning
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException

import lightning_gen
from lightning_gen.allowed import VARIABLE, enforced, modules
from lightning_gen.cli import quiet
from lightning_gen.cli.claim import is_first_process, is_helper
from lightning_gen.cli.parser import BadArgumentsError
from lightning_gen.data.loader import lost_worker
from lightning_gen.errors import InterruptionError, UserError

LIBRARIES = tuple({sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")})
LIGHTNING = str(Path(lightning.__file__).parent)


def outcome(verb: str, task: Callable[[], None]) -> int:
    """Run ``task``; 0, 1 where it failed, 2 for bad arguments, or 128 and the number of a signal.

    What a user can put right is one line on stderr; any other error keeps its traceback.
    """
    try:
        with quiet.libraries(), enforced():
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

    Args:
        error: it was raised.
        lightnings: whether Lightning's own errors are told too.
    """
    frames = traceback.extract_tb(error.__traceback__)
    ours = (*LIBRARIES, str(Path(lightning_gen.__file__).parent))
    own = [frame for frame in frames if not frame.filename.startswith((*ours, "<"))]
    said = " ".join(f"{type(error).__name__}: {error}".split())
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
        return 0 if is_helper() else 128 + error.signal
    return 2 if isinstance(error, BadArgumentsError) else 1


def lack_of_memory(error: BaseException) -> UserError | None:
    """What to tell a user where a device or the machine could not give what a tensor needs."""
    if not is_lack_of_memory(error):
        return None
    return UserError(
        f"there is not enough memory: {wanted(error)}. Choose a smaller model, smaller images or a "
        "smaller data.batch_size."
    )


def is_lack_of_memory(error: BaseException) -> bool:
    """Whether a device or the machine could not give what a tensor needs."""
    words = (
        "can't allocate memory",
        "Storage size calculation overflowed",
        "multiplication overflow",
    )
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or any(
        word in str(error) for word in words
    )


def wanted(error: BaseException) -> str:
    """How much memory was asked for, where the error says so."""
    found = re.search(r"[Tt]ried to allocate ([\d.]+ \w+)", str(error))
    return f"{found[1]} were asked for" if found else "more was asked for than can be counted"
