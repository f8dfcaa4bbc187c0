"""How the speed of ``lightning-gen fit`` goes with the size of images, of batches, of the machine.

    python benchmarks/scaling.py --json scaling.json

Images per second over those of the bare loop of ``throughput.py``, in turn with it: for the
convolutional and the residual VAE on noise of several sizes, and for the dense VAE on Fashion-MNIST
with several batch sizes. Then the convolutional VAE on several processes with DDP, the real command
each time, over one process in the same round: processes of one machine share its cores, so that 1
says that nothing is lost by them, and more that one process leaves cores idle.
"""

import argparse
import tempfile
from functools import partial
from pathlib import Path
from statistics import median
from typing import NamedTuple

import torch
from bare import BareLoop, bernoulli, squared_error
from common import (
    BATCH_SIZE,
    CONV,
    DENSE,
    Spread,
    alternate,
    arguments,
    finish,
    in_words,
    print_table,
    quotients,
    run_python,
    spread,
)
from throughput import Rivals, measure
from timed_adam import LAST, VARIABLE, WORDS, read_steps
from usual_data import RandomImages, fashion_mnist, fashion_mnist_words

QUIET = ("--trainer.limit_val_batches", "1", "--trainer.callbacks", "[]")
CONV_WORDS = (
    *("--model", "VAE", "--model.architecture", "Conv"),
    *("--model.architecture.widths", "[32, 64, 128]"),
)
RESIDUAL_WORDS = ("--model", "ResVAE")
IMAGES_A_ROW = 12_800
"""Of an epoch of each batch size."""
WARM_UP = 10
"""Steps of a process that are not counted."""


class Size(NamedTuple):
    """A fit on images of one size."""

    model: str
    pixels: int
    channels: int
    batch_size: int
    batches: int


SIZES = (
    Size("Conv", 28, 1, 128, 20),
    Size("Conv", 64, 3, 64, 10),
    Size("Conv", 128, 3, 32, 6),
    Size("ResVAE", 64, 3, 32, 4),
    Size("ResVAE", 128, 3, 16, 3),
)


def image_sizes(args: argparse.Namespace) -> dict[str, dict]:
    """A fit of each size."""
    results = {}
    for size in SIZES:
        batches = min(size.batches, args.batches)
        name = f"{size.model}, {size.channels}x{size.pixels}x{size.pixels}, batch {size.batch_size}"
        print(f"... {name}", flush=True)
        count = size.batch_size * (batches + 2)
        words = [*(RESIDUAL_WORDS if size.model == "ResVAE" else CONV_WORDS), *QUIET]
        words += ["--allow", "usual_data", "--data", "usual_data.RandomImages"]
        words += ["--data.image_size", str(size.pixels), "--data.channels", str(size.channels)]
        words += ["--data.images", str(count * 5 // 4), "--data.batch_size", str(size.batch_size)]
        source = RandomImages(size.pixels, size.channels, count).load_train()
        nats = squared_error if size.model == "ResVAE" else bernoulli
        rivals = Rivals(source.images, {"bare": BareLoop}, batch_size=size.batch_size, nats=nats)
        words += ["--trainer.accelerator", args.accelerator]
        results[name] = row(words, rivals, batches, args.repeats)
    return results


def batch_sizes(args: argparse.Namespace) -> dict[str, dict]:
    """A fit of the dense VAE with each."""
    images = fashion_mnist(args.root).load_train().images
    results = {}
    for batch_size in args.batch_sizes:
        print(f"... batch {batch_size}", flush=True)
        batches = min(max(1, IMAGES_A_ROW // batch_size), args.batches)
        words = ["--config", str(DENSE), *fashion_mnist_words(args.root), *QUIET]
        words += ["--data.batch_size", str(batch_size), "--trainer.accelerator", args.accelerator]
        rivals = Rivals(images, {"bare": BareLoop}, batch_size=batch_size)
        results[f"dense, batch {batch_size}"] = row(words, rivals, batches, args.repeats)
    return results


def row(words: list[str], rivals: Rivals, batches: int, repeats: int) -> dict:
    """What is kept of a fit."""
    found = measure(words, rivals, batches, repeats).summary()
    return {name: found[name] for name in ("images_per_second", "over_bare")}


def speed_of(processes: int, args: argparse.Namespace) -> float:
    """Images per second of the convolutional VAE, on all processes together."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "steps"
        words = ["-m", "lightning_gen", "fit", "--config", str(CONV)]
        words += [*fashion_mnist_words(args.root), *WORDS, *QUIET]
        words += ["--trainer.accelerator", args.accelerator, "--trainer.devices", str(processes)]
        words += ["--trainer.strategy", "ddp"] if processes > 1 else []
        words += ["--trainer.default_root_dir", folder]
        steps = min(40, args.batches)
        run_python(words, **{VARIABLE: str(file), LAST: str(WARM_UP + steps)})
        ends = read_steps(file, processes)
    seconds = max(end[-1] for end in ends) - max(end[WARM_UP - 1] for end in ends)
    return processes * steps * BATCH_SIZE / seconds


def over_processes(args: argparse.Namespace) -> dict[str, dict]:
    """The speed of each number of processes, over that of the first."""
    if args.accelerator != "cpu" and torch.cuda.is_available():
        there = torch.cuda.device_count()
        if there < max(args.processes):
            print(f"Processes: skipped, {max(args.processes)} need a GPU each, there are {there}.")
            return {}
    tasks = {f"conv, processes {n}": partial(speed_of, n, args) for n in args.processes}
    found = alternate(tasks, args.repeats)
    first = next(iter(found.values()))
    return {
        name: {"images_per_second": median(speeds), "over_first": spread(quotients(speeds, first))}
        for name, speeds in found.items()
    }


def show(title: str, results: dict[str, dict], ratio: str) -> None:
    """A row a fit."""
    if results:
        rows = [["", "images/s", title]]
        for name, found in results.items():
            value: Spread = found[ratio]
            rows.append([name, f"{found['images_per_second']:.0f}", in_words(value)])
        print_table(rows)


def main() -> None:
    """Measure, print, write."""
    parser = arguments(__doc__)
    parser.add_argument("--batches", type=int, default=1000, help="of an epoch, at most")
    parser.add_argument("--batch-sizes", type=int, nargs="*", default=[32, 64, 128, 256, 512, 1024])
    parser.add_argument("--processes", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=3, help="rounds that are measured")
    parser.add_argument("--accelerator", default="auto", help="cpu, cuda or auto")
    args = parser.parse_args()
    sizes = image_sizes(args)
    batches = batch_sizes(args)
    processes = over_processes(args) if args.processes else {}
    show("over bare loop", {**sizes, **batches}, "over_bare")
    show("over the first", processes, "over_first")
    results = {"image_sizes": sizes, "batch_sizes": batches, "processes": processes}
    finish(args, {"repeats": args.repeats, **results})


if __name__ == "__main__":
    main()
