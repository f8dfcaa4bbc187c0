"""What the benchmarks share: the machine in words, and the file of results."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from statistics import median


def describe_machine() -> dict[str, str | int]:
    """What a measured number means nothing without."""
    # Here, so that memory.py stays small: a child's peak starts at its parent's size.
    import torch

    from lightning_gen.runs.environment import processor

    return {
        "date": datetime.now(UTC).date().isoformat(),
        "device": f"{processor()}, {os.cpu_count()} cores",
        "threads": torch.get_num_threads(),
        "torch": str(torch.__version__),
    }


def spread(values: list[float]) -> dict[str, float]:
    """Median and range."""
    return {"median": median(values), "min": min(values), "max": max(values)}


def write_json(path: Path | None, results: dict) -> None:
    """Write the results where a file is asked for."""
    if path is not None:
        path.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
