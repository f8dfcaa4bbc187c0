"""A process that draws, so that training does not wait for its pictures."""

import os
import pickle
import signal
import sys
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from multiprocessing import get_context
from pathlib import Path
from threading import Thread
from time import sleep
from typing import NamedTuple
from warnings import catch_warnings

import torch
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn

from lightning_gen.callbacks.drawing import Drawing, draw_into, draw_pickled, pickled
from lightning_gen.figures import chart, loss_curves

MOST_WAITING = 32
"""Pictures that may wait to be drawn; then the training waits."""

SOON = 1.0
"""Seconds of waiting that need no explanation."""


class Job(NamedTuple):
    """A picture that was handed over."""

    future: Future[str | None]
    drawing: Drawing
    path: Path
    then: Callable[[str | None], None]
    """Is told why there is nothing to see; None when the picture was written."""


class Artist:
    """Draws one picture after another in a process of its own.

    That is a fork of this one: it shares what was imported, and needs no ``if __name__`` of
    anybody. Make it before this process uses a GPU or starts threads that hold locks; torch's own
    may sleep, since the fork keeps to one thread. It ends with this process, however that ends;
    where it is killed itself, this one draws what is missing.
    """

    def __init__(self) -> None:
        self._owner = os.getpid()
        self._waiting: deque[Job] = deque()
        self._pool = ProcessPoolExecutor(
            1, get_context("fork"), initializer=_begin, initargs=(self._owner,)
        )
        with catch_warnings(action="ignore", category=DeprecationWarning):
            # Python 3.12 warns of a fork beside threads: those of numpy's BLAS, which can be forked
            self._pool.submit(os.getpid)

    def draw(self, drawing: Drawing, path: Path, then: Callable[[str | None], None]) -> None:
        """Have a picture drawn into a PNG; ``then`` is called here, by a later call or ``finish``.

        Raises:
            UserError: the disk was full when this or an earlier picture was to be written.
        """
        if os.getpid() != self._owner:  # a fork, such as those that train under ddp_fork
            then(draw_into(drawing, path))
            return
        while self._waiting and (
            self._waiting[0].future.done() or len(self._waiting) >= MOST_WAITING
        ):
            self._end_first()
        try:
            future = self._pool.submit(draw_pickled, pickled(drawing), path)
        except (BrokenProcessPool, pickle.PicklingError, AttributeError, TypeError):
            then(draw_into(drawing, path))
        else:
            self._waiting.append(Job(future, drawing, path, then))

    def finish(self, seconds: float | None = None) -> None:
        """Wait for all pictures; after so many ``seconds`` leave out those that are missing.

        Raises:
            UserError: the disk was full.
        """
        futures = [job.future for job in self._waiting]
        if seconds is None and (late := wait(futures, SOON).not_done):
            rank_zero_info(f"Waiting for pictures that are still being drawn: {len(late)}.")
        done, late = wait(futures, seconds)
        if late:
            for process in self._pool._processes.values():
                process.kill()
            rank_zero_warn(f"{len(late)} pictures are left out, to end in time.")
            self._waiting = deque(job for job in self._waiting if job.future in done)
        while self._waiting:
            self._end_first()

    def _end_first(self) -> None:
        job = self._waiting.popleft()
        try:
            nothing = job.future.result()
        except BrokenProcessPool:
            nothing = draw_into(job.drawing, job.path)
        job.then(nothing)


class Here:
    """Draws at once, in this process."""

    def draw(self, drawing: Drawing, path: Path, then: Callable[[str | None], None]) -> None:
        """Draw into a PNG, then call ``then``."""
        then(draw_into(drawing, path))

    def finish(self, seconds: float | None = None) -> None:
        """Nothing: all is drawn."""


current: Artist | Here = Here()
"""Who draws the pictures of this process."""


def hire() -> None:
    """Let another process draw from now on, where one can be forked and has a core to itself."""
    global current
    if sys.platform == "linux" and len(os.sched_getaffinity(0)) > 1:
        with suppress(OSError, ImportError, NotImplementedError):  # no more processes or semaphores
            current = Artist()


def _begin(parent: int) -> None:
    """Leave signals to the process that trains, and the cores where it wants them."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    Thread(target=_end_with, args=(parent,), daemon=True).start()
    os.nice(5)
    torch.set_num_threads(1)
    chart(loss_curves, [])  # the first chart takes longer than others


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        sleep(0.2)
    os._exit(1)
