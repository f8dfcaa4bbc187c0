"""How a verb ends: its exit code, and one line about what went wrong."""

import os
import sys
import traceback
from collections.abc import Callable

from lightning.fabric.utilities.exceptions import MisconfigurationException

from lightning_gen.cli import quiet
from lightning_gen.cli.claim import is_first_process, is_helper
from lightning_gen.cli.parser import BadArgumentsError
from lightning_gen.data.loader import lost_worker
from lightning_gen.errors import InterruptionError, UserError


def outcome(verb: str, task: Callable[[], None]) -> int:
    """Run ``task``; 0, 1 where it failed, 2 for bad arguments, or 128 and the number of a signal.

    What a user can put right is one line on stderr; any other error keeps its traceback.
    """
    try:
        with quiet.libraries():
            task()
    except (BadArgumentsError, UserError, MisconfigurationException) as error:
        return _failed(verb, error)
    except RuntimeError as error:
        lost = lost_worker(error)
        if lost is None:
            raise
        return _failed(verb, lost)
    return 0


def _failed(verb: str, error: Exception) -> int:
    if os.environ.get("LIGHTNING_GEN_TRACEBACK"):
        traceback.print_exc()
    if is_first_process() or not isinstance(error, InterruptionError):
        print(f"lightning-gen {verb}: {' '.join(str(error).split())}", file=sys.stderr)
    if isinstance(error, InterruptionError):
        # Lightning kills the first process when one that it has started ends otherwise.
        return 0 if is_helper() else 128 + error.signal
    return 2 if isinstance(error, BadArgumentsError) else 1
