"""What the benchmarks share: options, rounds, medians with their range, tables, results as JSON."""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import TypeVar

import torch

import lightning_gen
from lightning_gen.training.environment import processor

HERE = Path(__file__).parent
EXPERIMENTS = HERE.parent / "conf" / "experiment"
DENSE = EXPERIMENTS / "fashion_mnist_dense_vae.yaml"
CONV = EXPERIMENTS / "fashion_mnist_conv_vae.yaml"
BATCH_SIZE = 128

Spread = dict[str, float]
"""Median, min and max of some measurements."""
T = TypeVar("T")


def describe_machine() -> dict[str, str | int]:
    """The date, the device and the version of torch."""
    gpu = {"gpu": torch.cuda.get_device_name()} if torch.cuda.is_available() else {}
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "device": f"{processor()}, {os.cpu_count()} cores",
        "threads": torch.get_num_threads(),
        "torch": str(torch.__version__),
        **gpu,
    }


def arguments(description: str | None) -> argparse.ArgumentParser:
    """A parser with the options that every benchmark has."""
    parser = argparse.ArgumentParser(description=(description or "").partition("\n")[0])
    parser.add_argument("--root", type=Path, default=Path("data"), help="folder of the datasets")
    parser.add_argument("--json", type=Path, help="file for the results")
    return parser


def finish(args: argparse.Namespace, results: dict) -> None:
    """Print the machine, and write the results where a file is asked for."""
    machine = describe_machine()
    print(", ".join(f"{name} {value}" for name, value in machine.items()), flush=True)
    if args.json is not None:
        text = json.dumps({"machine": machine, **results}, indent=2)
        args.json.write_text(text + "\n", encoding="utf-8")


def spread(values: Iterable[float]) -> Spread:
    """Median and range."""
    found = list(values)
    return {"median": median(found), "min": min(found), "max": max(found)}


def quotients(above: Sequence[float], below: Sequence[float]) -> list[float]:
    """The ratio of each pair of measurements of one round."""
    return [a / b for a, b in zip(above, below, strict=True)]


def in_words(value: Spread, digits: int = 2) -> str:
    """Median and range in a line."""
    low, middle, high = (f"{value[name]:.{digits}f}" for name in ("min", "median", "max"))
    return f"{middle} ({low} to {high})"


def in_turn(number: int, names: Iterable[T]) -> list[T]:
    """The names in the order of round ``number``: each round another one comes first."""
    found = list(names)
    start = number % max(1, len(found))
    return found[start:] + found[:start]


def alternate(tasks: Mapping[str, Callable[[], T]], repeats: int) -> dict[str, list[T]]:
    """The results of each task, of ``repeats`` rounds in which all are run one after another."""
    results: dict[str, list[T]] = {name: [] for name in tasks}
    for number in range(repeats):
        for name in in_turn(number, tasks):
            print(f"... {name}, {number + 1} of {repeats}", flush=True)
            results[name].append(tasks[name]())
    return results


def print_table(rows: Sequence[Sequence[str]]) -> None:
    """Columns as wide as their cells; the first one to the left, all others to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    print()
    for first, *others in rows:
        cells = [word.rjust(width) for word, width in zip(others, widths[1:], strict=True)]
        print("  ".join([first.ljust(widths[0]), *cells]).rstrip())
    print()


def environment() -> dict[str, str]:
    """Variables of processes that import this package and the benchmarks."""
    package = Path(lightning_gen.__file__).parents[1]
    places = [str(HERE), str(package), os.environ.get("PYTHONPATH", "")]
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, places))}


def run_python(words: Sequence[str]) -> None:
    """Run ``python WORDS``; end with its output where it fails."""
    done = subprocess.run(
        [sys.executable, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment(),
    )
    if done.returncode:
        raise SystemExit(f"python {' '.join(words)} failed ({done.returncode}):\n{done.stdout}")
