"""Processes that begin with everything imported, which would take nearly all of their time."""

import os
import signal
import sys
from multiprocessing import get_context
from warnings import catch_warnings, simplefilter

from torch import distributed, multiprocessing

IMPORTED = get_context("forkserver")
IMPORTED.set_forkserver_preload(["lightning_gen.cli.training", "lightning_gen.cli.sweep"])


def start(words, folder):
    """``lightning-gen WORDS`` as a process in ``folder``; ``stderr.txt`` there has what it says."""
    process = IMPORTED.Process(target=_command, args=([str(word) for word in words], folder))
    process.start()
    return process


def _command(words, folder):
    from lightning_gen.cli import main

    # As on a terminal, where the tests themselves may have been started in the background.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(folder)
    for stream, name in ((1, "stdout.txt"), (2, "stderr.txt")):
        file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, stream)
        os.close(file)
    sys.argv = ["lightning-gen", *words]
    sys.exit(main())


def on_two_processes(measure, folder, *arguments):
    """What ``measure(rank, *arguments)`` gives back on each of two gloo processes, plain values.

    They are forks of this process.
    """
    with catch_warnings(action="ignore", category=DeprecationWarning):  # of forks beside threads
        manager = multiprocessing.Manager()
    with manager:
        results = manager.dict()
        process = (folder / "store", measure, arguments, results)
        with catch_warnings(action="ignore", category=DeprecationWarning):
            multiprocessing.start_processes(_process, process, nprocs=2, start_method="fork")
        return [results[0], results[1]]


def _process(rank, store, measure, arguments, results):
    simplefilter("default")  # a process without images warns of it
    distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    results[rank] = measure(rank, *arguments)
    distributed.destroy_process_group()
