"""Processes that take turns: one works while the others wait for their go.

Both ends are here. The child may live in any environment: this file needs Python alone.
"""

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence

VARIABLE = "BENCHMARK_TURN"


class Turn:
    """The end of the process that works."""

    def __init__(self) -> None:
        listen, tell = map(int, os.environ[VARIABLE].split(","))
        self._listen = os.fdopen(listen)
        self._tell = os.fdopen(tell, "w")

    def over(self, **seconds: float) -> None:
        """Say what the turn took, and wait for the next one; the first time: be ready."""
        self._tell.write(json.dumps(seconds) + "\n")
        self._tell.flush()
        if not self._listen.readline():
            os._exit(1)  # nobody is left to tell


class Worker:
    """The end of the process that gives the turns.

    Args:
        name: for messages.
        command: what to start.
        variables: its environment.
    """

    def __init__(self, name: str, command: Sequence[str], variables: Mapping[str, str]) -> None:
        self.name = name
        self.output = tempfile.TemporaryFile("w+")  # noqa: SIM115  (closed by end)
        listen, self._go = os.pipe()
        self._hear, tell = os.pipe()
        started = time.perf_counter()
        self.process = subprocess.Popen(
            command,
            env={**variables, VARIABLE: f"{listen},{tell}"},
            pass_fds=(listen, tell),
            stdout=self.output,
            stderr=self.output,
        )
        os.close(listen)
        os.close(tell)
        self._answers = os.fdopen(self._hear)
        self._answer()
        self.start_up = time.perf_counter() - started
        """Seconds until it was ready for its first turn."""

    def turn(self) -> dict[str, float]:
        """Let it work once; what it says of that."""
        os.write(self._go, b"go\n")
        return self._answer()

    def end(self) -> None:
        """Let it do what is left, and end."""
        os.write(self._go, b"go\n")
        code = self.process.wait()
        if code:
            self._fail(code)
        self._close()

    def kill(self) -> None:
        """Stop it, whatever it does."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._close()

    def _answer(self) -> dict[str, float]:
        line = self._answers.readline()
        if not line:
            self._fail(self.process.wait())
        answer: dict[str, float] = json.loads(line)
        return answer

    def _fail(self, code: int) -> None:
        self.output.seek(0)
        text = self.output.read()
        self._close()
        raise SystemExit(f"{self.name} ended with {code}:\n{text[-4000:]}")

    def _close(self) -> None:
        if not self.output.closed:
            self.output.close()
            self._answers.close()
            os.close(self._go)
