"""``fit`` as a trial of a sweep: ``python -m lightning_gen.cli.sweep_trial fit ...``.

It ends when its standard input does. The other end of that pipe is the sweep's, so that no training
outlives a sweep, even one that was killed.
"""

import os
import signal
import sys
import time
from threading import Thread

from lightning_gen.cli import main

GRACE_SECONDS = 10
"""How long the training may take to save itself."""


def end_with_stdin() -> None:
    """Wait for the end of the sweep; then end this process and those that it has started."""
    while os.read(sys.stdin.fileno(), 1):
        pass
    os.killpg(0, signal.SIGTERM)
    time.sleep(GRACE_SECONDS)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    Thread(target=end_with_stdin, daemon=True).start()
    sys.exit(main())
