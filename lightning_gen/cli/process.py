"""Settings of the process that trains on a CPU, where torch and glibc waste its time."""

import ctypes
import os
from contextlib import suppress

MMAP_MAX, TRIM_THRESHOLD, TOP_PAD = -4, -1, -2
"""Parameters of glibc's mallopt."""


def prepare_for_cpu() -> None:
    """Keep the memory of a step for the next one, and stop looking for a GPU at every step."""
    keep_freed_memory()
    # Lightning lets torch.cuda.is_available look for the driver's library on disk each time, and an
    # optimizer asks at every step. It is for processes that fork before they use a GPU.
    os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "0"


def keep_freed_memory() -> None:
    """Let glibc keep what was freed, which it would give back to the system, page by page.

    Each step of a convolutional model allocates the same tensors of some megabytes again; fetched
    anew from the system, every page of them costs a fault and is zeroed.
    """
    with suppress(OSError, AttributeError):  # no glibc: macOS, Windows, musl
        mallopt = ctypes.CDLL("libc.so.6").mallopt
        mallopt(MMAP_MAX, 0)
        mallopt(TRIM_THRESHOLD, 2**31 - 1)
        mallopt(TOP_PAD, 2**26)
