"""Two processes that reduce their metrics together."""

from torch import distributed, multiprocessing


def on_two_processes(measure, folder, *arguments):
    """What ``measure(rank, *arguments)`` gives back on each of two gloo processes.

    ``measure`` is a function of a test module's top level, and gives back plain values.
    """
    with multiprocessing.Manager() as manager:
        results = manager.dict()
        store = folder / "store"
        multiprocessing.spawn(_process, (store, measure, arguments, results), nprocs=2)
        return [results[0], results[1]]


def _process(rank, store, measure, arguments, results):
    distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    results[rank] = measure(rank, *arguments)
    distributed.destroy_process_group()
