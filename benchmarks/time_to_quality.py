"""How long one waits for a VAE of Fashion-MNIST that reaches 240 nats per image on the test split.

    python benchmarks/time_to_quality.py --json time_to_quality.json

Both recipes are the command line's own, in fresh processes, in turn, with all that a run does by
default: imports, data, validation, pictures, checkpoints and the test at the end. The seconds are
from the start of the command to the line with the test loss; beside them stand those to its end.
The shipped recipe is ``conf/experiment/fashion_mnist_vae.yaml``, chosen by the validation split
alone; the plain one is what one writes first: 10 epochs of strided convolutions with Adam, in
batches of 128. The first run of the shipped one warms the disk and does not count.
"""

import argparse
import re
import subprocess
import sys
import tempfile
import time
from statistics import mean, median
from typing import NamedTuple

from common import EXPERIMENTS, arguments, environment, finish, in_words, print_table, spread
from usual_data import fashion_mnist_words

RECIPES = {
    "shipped": ["--config", str(EXPERIMENTS / "fashion_mnist_vae.yaml")],
    "plain": [
        *("--seed_everything", "0", "--model", "VAE", "--model.latent_dim", "20"),
        *("--model.architecture", "Conv", "--model.architecture.widths", "[32, 64]"),
        *("--model.optimizer", "torch.optim.Adam", "--model.optimizer.lr", "0.001"),
        *("--trainer.max_epochs", "10"),
    ],
}
TARGETS = {"shipped": "at most 240 nats", "plain": ""}
TARGET_RATIO = 10
TEST_LOSS = re.compile(r"Test loss (-?[0-9.]+) nats per image")


class Run(NamedTuple):
    """What one training took and gave.

    Attributes:
        seconds: from the start of the command to the line with the test loss.
        nats: the test loss, in nats per image.
        whole: seconds from the start of the command to its end.
    """

    seconds: float
    nats: float
    whole: float


def train(recipe: list[str], args: argparse.Namespace) -> Run:
    """Run ``lightning-gen fit`` and wait for its test loss."""
    with tempfile.TemporaryDirectory() as folder:
        words = ["fit", *recipe, *fashion_mnist_words(args.root)]
        words += ["--trainer.accelerator", args.accelerator, "--trainer.default_root_dir", folder]
        if args.batches is not None:
            words += ["--trainer.max_epochs", "2"]
            for split in ("train", "val", "test"):
                words += [f"--trainer.limit_{split}_batches", str(args.batches)]
        command = [sys.executable, "-u", "-m", "lightning_gen", *words]
        ends, started = subprocess.PIPE, time.perf_counter()
        lines, tested = [], None
        with subprocess.Popen(
            command, env=environment(), text=True, stdout=ends, stderr=subprocess.STDOUT
        ) as process:
            for line in process.stdout:
                lines.append(line)
                if found := TEST_LOSS.search(line):
                    tested = time.perf_counter() - started, float(found[1])
        if process.returncode or tested is None:
            raise SystemExit(f"{' '.join(command)} failed:\n{''.join(lines)}")
        return Run(*tested, time.perf_counter() - started)


def summarise(runs: dict[str, list[Run]]) -> dict:
    """Medians, and each plain run's seconds over the mean of the two shipped ones around it."""
    around = zip(runs["shipped"][::2], runs["shipped"][1::2], strict=True)
    ratios = [
        plain.seconds / mean(run.seconds for run in pair)
        for plain, pair in zip(runs["plain"], around, strict=True)
    ]
    results: dict = {
        name: {
            "seconds": spread(run.seconds for run in found),
            "whole": spread(run.whole for run in found),
            "nats": median(run.nats for run in found),
        }
        for name, found in runs.items()
    }
    return {**results, "plain_over_shipped": spread(ratios)}


def main() -> None:
    """Measure, print, write."""
    parser = arguments(__doc__)
    parser.add_argument("--repeats", type=int, default=2, help="runs of the plain recipe")
    parser.add_argument("--batches", type=int, help="of each split, for two epochs (default: all)")
    parser.add_argument("--accelerator", default="auto", help="cpu, cuda or auto")
    args = parser.parse_args()
    if args.batches is None:
        train(RECIPES["shipped"], args)
    runs: dict[str, list[Run]] = {"shipped": [], "plain": []}
    for number in range(args.repeats):
        for name in ("shipped", "plain", "shipped"):
            runs[name].append(train(RECIPES[name], args))
            print(f"... {name}, {number + 1} of {args.repeats}: {runs[name][-1]}", flush=True)
    results = summarise(runs)
    rows = [["", "seconds", "whole command", "nats per image, test", "target"]]
    for name, target in TARGETS.items():
        seconds, whole = (in_words(results[name][key], 1) for key in ("seconds", "whole"))
        rows.append([name, seconds, whole, f"{results[name]['nats']:.2f}", target])
    print_table(rows)
    ratio = in_words(results["plain_over_shipped"], 1)
    print(f"The plain recipe takes {ratio} times as long, target at least {TARGET_RATIO}.")
    finish(args, {"batches": args.batches, "repeats": args.repeats, **results})


if __name__ == "__main__":
    main()
