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
from lightning_gen.cli.messages import explain
from lightning_gen.errors import BadArgumentsError, InterruptionError, UserError, causes, user_error
from lightning_gen.training.claim import RUN_VARIABLE, is_first_process
from lightning_gen.training.quiet import quiet_libraries

LIBRARIES = tuple({sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")})
LIGHTNING = str(Path(lightning.__file__).parent)
ASKS_A_WORKER = "rebuild_storage_fd"
"""torch's function that asks a worker for the memory of a tensor."""
NO_MEMORY = "can't allocate memory|Storage size calculation overflowed|multiplication overflow"


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
        found = lost_worker(error) or lack_of_memory(error) or fault_of_another(error)
        if not found:
            raise
        return _failed(verb, UserError(found) if isinstance(found, str) else found)
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


def lost_worker(error: BaseException) -> UserError | None:
    """What to tell a user where ``error`` is torch's about a worker that was killed; else None.

    torch raises it wherever the main process happens to be, so that no loader can catch it. Where
    that was asking the worker for the memory of a batch, the error is one of a lost connection.
    """
    text = " ".join(str(error).split())
    if isinstance(error, ConnectionError | EOFError | FileNotFoundError):
        if not any(ASKS_A_WORKER in line for line in traceback.format_exception(error)):
            return None
        text = f"{type(error).__name__} while a batch was handed over"
    elif not isinstance(error, RuntimeError) or not text.startswith("DataLoader worker (pid"):
        return None
    what = "shared memory (/dev/shm)" if "Bus error" in text else "memory"
    return UserError(
        f"a process that loads images was ended from outside: {text.rstrip('. ')}; most likely the "
        f"{what} ran out. Set data.num_workers to a smaller number, 0 for none, or "
        "data.batch_size to a smaller one, and go on from the last checkpoint."
    )


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
