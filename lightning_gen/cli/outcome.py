"""How a verb ends: its exit code, and one line about what went wrong."""

import os
import sys
import traceback
from collections.abc import Callable

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
    return 0
