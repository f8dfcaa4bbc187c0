"""Two processes that reduce their metrics together."""

from warnings import catch_warnings, simplefilter

from torch import distributed, multiprocessing


def on_two_processes(measure, folder, *arguments):
    """What ``measure(rank, *arguments)`` gives back on each of two gloo processes.

    ``measure`` gives back plain values. The processes are forks of this one, which has imported all
    that they need: to import it anew took nearly all of their time.
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
