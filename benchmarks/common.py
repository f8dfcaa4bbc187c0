"""What the benchmarks share: words, turns, medians with their spread, tables, the file of results.

Nothing heavy is imported here, so that memory.py stays small: a child's peak starts at its
parent's size.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import TypeVar

HERE = Path(__file__).parent
EXPERIMENTS = HERE.parent / "conf" / "experiment"
DENSE = EXPERIMENTS / "fashion_mnist_dense_vae.yaml"
CONV = EXPERIMENTS / "fashion_mnist_conv_vae.yaml"
BATCH_SIZE = 128

Spread = dict[str, float]
"""Median, min and max of some measurements."""
T = TypeVar("T")


def describe_machine() -> dict[str, str | int]:
    """What a measured number means nothing without."""
    import torch

    from lightning_gen.runs.environment import processor

    gpu = {"gpu": torch.cuda.get_device_name()} if torch.cuda.is_available() else {}
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "device": f"{processor()}, {os.cpu_count()} cores",
        "threads": torch.get_num_threads(),
        "torch": str(torch.__version__),
        **gpu,
    }


def write_json(path: Path | None, results: dict) -> None:
    """Write the results where a file is asked for."""
    if path is not None:
        path.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


def finish(args: argparse.Namespace, results: dict) -> None:
    """Say which machine it was, and write what was asked for."""
    machine = describe_machine()
    print(", ".join(f"{name} {value}" for name, value in machine.items()))
    write_json(args.json, {"machine": machine, **results})


def arguments(description: str | None) -> argparse.ArgumentParser:
    """A parser with the options that every benchmark has."""
    parser = argparse.ArgumentParser(description=(description or "").partition("\n")[0])
    parser.add_argument("--root", type=Path, default=Path("data"), help="folder of the datasets")
    parser.add_argument("--json", type=Path, help="file for the results")
    return parser


def spread(values: Iterable[float]) -> Spread:
    """Median and range."""
    found = list(values)
    return {"median": median(found), "min": min(found), "max": max(found)}


def quotients(above: Sequence[float], below: Sequence[float]) -> list[float]:
    """The ratio of each pair, which met the same state of the machine."""
    return [a / b for a, b in zip(above, below, strict=True)]


def in_words(value: Spread, digits: int = 2) -> str:
    """Median and range in a line."""
    low, middle, high = (f"{value[name]:.{digits}f}" for name in ("min", "median", "max"))
    return f"{middle} ({low} to {high})"


def in_turn(number: int, names: Iterable[T]) -> list[T]:
    """The names, another one first each time, so that none is always the one after another."""
    found = list(names)
    start = number % max(1, len(found))
    return found[start:] + found[:start]


def alternate(tasks: Mapping[str, Callable[[], T]], repeats: int) -> dict[str, list[T]]:
    """What each task gives in each of ``repeats`` rounds; a round runs all, one after another."""
    results: dict[str, list[T]] = {name: [] for name in tasks}
    for number in range(repeats):
        for name in in_turn(number, tasks):
            print(f"... {name}, {number + 1} of {repeats}", flush=True)
            results[name].append(tasks[name]())
    return results


def print_table(rows: Sequence[Sequence[str]]) -> None:
    """Columns as wide as what they hold; the first one to the left, all others to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    print()
    for first, *others in rows:
        cells = [word.rjust(width) for word, width in zip(others, widths[1:], strict=True)]
        print("  ".join([first.ljust(widths[0]), *cells]).rstrip())
    print()


def environment() -> dict[str, str]:
    """For processes that import this package and the benchmarks, whatever their folder."""
    package = find_spec("lightning_gen")
    places = [str(HERE)]
    if package is not None and package.origin is not None:
        places.append(str(Path(package.origin).parents[1]))
    if "PYTHONPATH" in os.environ:
        places.append(os.environ["PYTHONPATH"])
    return os.environ | {"PYTHONPATH": os.pathsep.join(places)}


def run_python(words: Sequence[str], python: str = sys.executable, **variables: str) -> None:
    """Run ``python WORDS``; end with its output where it fails."""
    with tempfile.TemporaryFile("w+") as output:
        command, whole = [python, *words], environment() | variables
        code = subprocess.run(command, stdout=output, stderr=output, env=whole).returncode
        if code:
            output.seek(0)
            raise SystemExit(f"python {' '.join(words)} failed ({code}):\n{output.read()}")
