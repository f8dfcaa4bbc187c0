"""How long one waits for a VAE of Fashion-MNIST that reaches 240 nats per image on the test split.

    python benchmarks/time_to_quality.py --json time_to_quality.json

Both recipes are the command line's own, in fresh processes, in turn, with all that a run does by
default: imports, data, validation, pictures, checkpoints and the test at the end. The seconds are
from the start of the command to the line with the test loss; beside them stand those to the end of
the command, whose last charts are drawn meanwhile by a process of their own. The shipped recipe is
``conf/experiment/fashion_mnist_vae.yaml``, which was chosen by the validation split alone; the
plain one is ``plain_vae.yaml``, 10 epochs of strided convolutions with Adam, whatever it reaches by
then. The first run of the shipped one warms the disk and does not count.
"""

import argparse
import csv
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

from common import EXPERIMENTS, HERE, arguments, environment, finish, print_table, spread
from usual_data import fashion_mnist_words

SHIPPED = EXPERIMENTS / "fashion_mnist_vae.yaml"
PLAIN = HERE / "plain_vae.yaml"
TARGET_NATS = 240.0
TARGET_RATIO = 10.0
TEST_LOSS = re.compile(r"Test loss (-?[0-9.]+) nats per image")


class Run(NamedTuple):
    """What one training took and gave."""

    seconds: float
    """From the start of the command to the line with the test loss."""
    nats: float
    """The test loss, in nats per image."""
    epochs: int
    """Those it trained."""
    whole: float
    """Seconds from the start of the command to its end."""


def train(config: Path, args: argparse.Namespace) -> Run:
    """Run ``lightning-gen fit`` and wait for its test loss."""
    with tempfile.TemporaryDirectory() as folder:
        words = ["fit", "--config", str(config), *fashion_mnist_words(args.root)]
        words += ["--trainer.accelerator", args.accelerator, "--trainer.default_root_dir", folder]
        if args.batches is not None:
            words += ["--trainer.limit_train_batches", str(args.batches)]
        command = [sys.executable, "-u", "-m", "lightning_gen", *words]
        started = time.perf_counter()
        process = subprocess.Popen(
            command,
            env=environment(),
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        lines = []
        for line in process.stdout:
            lines.append(line)
            if found := TEST_LOSS.search(line):
                seconds, nats = time.perf_counter() - started, float(found[1])
        if process.wait() or not any(map(TEST_LOSS.search, lines)):
            raise SystemExit(f"{' '.join(command)} failed:\n{''.join(lines)}")
        whole = time.perf_counter() - started
        with next(Path(folder).rglob("metrics.csv")).open(newline="") as file:
            epochs = 1 + max(int(row["epoch"]) for row in csv.DictReader(file) if row["val/loss"])
    return Run(seconds, nats, epochs, whole)


def measure(args: argparse.Namespace) -> dict[str, list[Run]]:
    """The shipped recipe before and after each run of the plain one."""
    runs: dict[str, list[Run]] = {"shipped": [], "plain": []}
    train(SHIPPED, args)
    for number in range(args.repeats):
        for name in ("shipped", "plain", "shipped"):
            print(f"... {name}, {number + 1} of {args.repeats}", flush=True)
            runs[name].append(train({"shipped": SHIPPED, "plain": PLAIN}[name], args))
    return runs


def summarise(runs: dict[str, list[Run]]) -> dict:
    """Medians, and what each plain run took over the mean of the two shipped ones around it."""
    pairs = zip(runs["shipped"][::2], runs["shipped"][1::2], strict=True)
    ratios = [
        plain.seconds / ((before.seconds + after.seconds) / 2)
        for plain, (before, after) in zip(runs["plain"], pairs, strict=True)
    ]
    results = {
        name: {
            "seconds": spread(run.seconds for run in found),
            "whole": spread(run.whole for run in found),
            "nats": median(run.nats for run in found),
            "epochs": found[0].epochs,
        }
        for name, found in runs.items()
    }
    return {**results, "plain_over_shipped": spread(ratios)}


def main() -> None:
    """Measure, print, write."""
    parser = arguments(__doc__)
    parser.add_argument("--repeats", type=int, default=2, help="runs of the plain recipe")
    parser.add_argument("--batches", type=int, help="of a training epoch (default: all)")
    parser.add_argument("--accelerator", default="auto", help="cpu, cuda or auto")
    args = parser.parse_args()
    results = summarise(measure(args))
    rows = [["", "seconds", "whole command", "epochs", "nats per image, test", "target"]]
    for name, target in (("shipped", f"at most {TARGET_NATS:.0f} nats"), ("plain", "")):
        found = results[name]
        seconds, whole = (
            "{median:.1f} ({min:.1f} to {max:.1f})".format(**found[key])
            for key in ("seconds", "whole")
        )
        rows.append([name, seconds, whole, str(found["epochs"]), f"{found['nats']:.2f}", target])
    print_table(rows)
    ratio = "{median:.1f} ({min:.1f} to {max:.1f})".format(**results["plain_over_shipped"])
    print(f"The plain recipe takes {ratio} times as long, target at least {TARGET_RATIO:.0f}.")
    settings = {"target_nats": TARGET_NATS, "target_ratio": TARGET_RATIO, "batches": args.batches}
    finish(args, {"settings": settings, "repeats": args.repeats, **results})


if __name__ == "__main__":
    main()
