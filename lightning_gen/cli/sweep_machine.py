"""What the trials of a sweep share: the terminal, the signals, the GPUs and the cores."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

import torch
from tqdm import tqdm


def progress(total: int, done: int) -> "tqdm[NoReturn]":
    """A bar over the trials, on a terminal."""
    hidden = True if os.environ.get("TQDM_DISABLE") else None
    return tqdm(total=total, initial=done, desc="sweep", unit="trial", disable=hidden)


def environments(jobs: int) -> tuple[dict[str, str], ...]:
    """For each of the trials that run at once, its share of the GPUs and of the CPU cores."""
    if jobs == 1:
        return ({},)
    threads = str(max(1, (os.cpu_count() or 1) // jobs))
    cores = {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", threads)}
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    gpus = visible.split(",") if visible else [str(n) for n in range(torch.cuda.device_count())]
    if not gpus:
        return (cores,) * jobs
    shares = [gpus[slot::jobs] or [gpus[slot % len(gpus)]] for slot in range(jobs)]
    return tuple(cores | {"CUDA_VISIBLE_DEVICES": ",".join(share)} for share in shares)


@contextmanager
def sigterm_as_ctrl_c() -> Iterator[None]:
    """A batch system that ends the sweep ends its trials too."""

    def interrupt(number: int, frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
