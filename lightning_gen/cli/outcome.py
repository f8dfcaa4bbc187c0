"""How a verb ends: its exit code, and one line about what went wrong."""

import os
import re
import sys
import traceback
from collections.abc import Callable

import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException

from lightning_gen.allowed import enforced
from lightning_gen.cli import quiet
from lightning_gen.cli.parser import BadArgumentsError
from lightning_gen.errors import UserError


def outcome(verb: str, task: Callable[[], None]) -> int:
    """Run ``task``; 0, 1 where it failed or was interrupted, or 2 for bad arguments.

    What a user can put right is one line on stderr; any other error keeps its traceback.
    """
    try:
        with quiet.libraries(), enforced():
            task()
    except (BadArgumentsError, UserError, MisconfigurationException) as error:
        if os.environ.get("LIGHTNING_GEN_TRACEBACK"):
            traceback.print_exc()
        print(f"lightning-gen {verb}: {' '.join(str(error).split())}", file=sys.stderr)
        return 2 if isinstance(error, BadArgumentsError) else 1
    except (MemoryError, RuntimeError) as error:
        if not is_lack_of_memory(error):
            raise
        print(
            f"lightning-gen {verb}: there is not enough memory: {wanted(error)}. Choose a "
            "smaller model, smaller images or a smaller data.batch_size.",
            file=sys.stderr,
        )
        return 1
    return 0


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
