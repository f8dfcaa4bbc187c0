"""What the benchmarks share: the machine in words, and the file of results."""

import json
import os
import platform
from datetime import UTC, datetime
from pathlib import Path


def describe_machine() -> dict[str, str | int]:
    """What a measured number means nothing without."""
    import torch  # here, so that memory.py stays small: a child's peak starts at its parent's size

    return {
        "date": datetime.now(UTC).date().isoformat(),
        "device": f"{processor()}, {os.cpu_count()} cores",
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }


def processor() -> str:
    """The name of the processor, as the system gives it."""
    information = Path("/proc/cpuinfo")
    if information.is_file():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def write_json(path: Path | None, results: dict) -> None:
    """Write the results where a file is asked for."""
    if path is not None:
        path.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
