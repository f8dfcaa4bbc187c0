"""How fast ``lightning-gen fit`` trains: images per second over those of loops written by hand.

    python benchmarks/throughput.py --json throughput.json

Each fit is the command line's own, in this process, with all that it does by default; its progress
bar is drawn for a terminal that nobody sees. After each epoch its rivals train the same networks on
the same images for as many batches, so that all meet the same machine, each time in another order.
A ratio is that of such a round; the first round is warm-up. All of it runs on the CPU.

- ``bare``: what a person writes by hand, torch's Adam as it comes on float32 images in memory. The
  targets are ratios to this one, since it is what someone without the framework would have.
- ``tuned``: the same with a fused Adam and a faster fetch, of one who knows torch well. Where a
  fit has such options by default, only this ratio says what its own loop costs.
- ``arithmetic``: the bare steps on one batch over and over: no data at all.

What a fit changes for its process, such as how many threads there are, acts
on its rivals too, since they share the process.
"""

import argparse
from collections.abc import Mapping
from statistics import mean, median
from typing import NamedTuple

import torch
from bare import Arithmetic, BareLoop, TunedLoop
from common import (
    BATCH_SIZE,
    CONV,
    DENSE,
    arguments,
    finish,
    in_turn,
    in_words,
    print_table,
    quotients,
    spread,
)
from fits import Clock, fit, now
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor
from usual_data import fashion_mnist, fashion_mnist_words, has_fashion_mnist

TARGETS = {"conv": 0.93, "dense": 0.85, "over_dataloader": 2.0}
LOOPS = {"bare": BareLoop, "tuned": TunedLoop, "arithmetic": Arithmetic}


class Rivals(Clock):
    """Lets loops written by hand train after each epoch of a fit.

    Args:
        images: all training images, uint8, for the loops.
        loops: their classes.
        options: of all of them.
    """

    def __init__(
        self, images: Tensor, loops: Mapping[str, type[BareLoop]], **options: object
    ) -> None:
        super().__init__()
        self.images = images
        self.kinds = loops
        self.options = options
        self.seconds: dict[str, list[float]] = {name: [] for name in loops}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Build the loops from the model as it starts."""
        super().on_train_start(trainer, pl_module)
        self.loops = {
            name: kind(pl_module, self.images, **self.options) for name, kind in self.kinds.items()
        }

    def over(self, trainer: Trainer, model: LightningModule) -> None:
        """As many batches for each."""
        for name in in_turn(len(self.epochs), self.loops):
            started = now()
            self.loops[name].train(trainer.num_training_batches)
            self.seconds[name].append(now() - started)


class Measured(NamedTuple):
    """What one fit gave, of each round but the first."""

    images: int
    """Of an epoch as it was trained."""
    fit: list[float]
    """Seconds in the training batches."""
    rivals: dict[str, list[float]]
    """Seconds of each loop."""
    whole: float
    """Mean seconds of whole epochs of all batches, over those of the training batches."""

    def ratios(self, name: str) -> list[float]:
        """The fit's speed over that of a rival."""
        return quotients(self.rivals[name], self.fit)

    def summary(self) -> dict:
        """Medians and spreads."""
        speeds = {f"{name}_images_per_second": s for name, s in self.rivals.items()}
        return {
            "images_per_second": self.images / median(self.fit),
            **{name: self.images / median(seconds) for name, seconds in speeds.items()},
            **{f"over_{name}": spread(self.ratios(name)) for name in self.rivals},
            "epoch_over_bare": mean(self.rivals["bare"]) / mean(self.fit) / self.whole,
        }


def measure(words: list[str], rivals: Rivals, batches: int, repeats: int) -> Measured:
    """Train ``repeats`` epochs of so many batches, and one for warm-up."""
    words = [*words, "--trainer.max_epochs", str(repeats + 1)]
    fit([*words, "--trainer.limit_train_batches", str(batches)], rivals)
    epochs = rivals.epochs[1:]
    full = mean(e.batches for e in epochs) * rivals.full_epoch / batches
    return Measured(
        images=batches * int(rivals.options.get("batch_size", BATCH_SIZE)),
        fit=[epoch.batches for epoch in epochs],
        rivals={name: seconds[1:] for name, seconds in rivals.seconds.items()},
        whole=1 + mean(e.others for e in epochs) / full,
    )


def measure_all(args: argparse.Namespace) -> dict[str, Measured]:
    """The four fits, each beside its rivals."""
    ours = fashion_mnist_words(args.root)
    root = str(args.root) if has_fashion_mnist(args.root) else ""
    usual = ["--allow", "usual_data", "--data", "usual_data.UsualFashionMNIST"]
    usual += ["--data.root", root, "--data.num_workers"]
    source = fashion_mnist(args.root)
    images = source.load_train().images
    only_bare = {"bare": BareLoop}
    fits = {
        "conv": (CONV, ours, LOOPS, args.conv_batches),
        "dense": (DENSE, ours, LOOPS, args.batches),
        "dense, DataLoader with 0 workers": (DENSE, [*usual, "0"], only_bare, args.batches),
        "dense, DataLoader with 2 workers": (DENSE, [*usual, "2"], only_bare, args.batches),
    }
    results = {}
    for name, (experiment, data, loops, batches) in fits.items():
        print(f"... {name}, on {type(source).__name__}", flush=True)
        words = ["--config", str(experiment), *data, "--trainer.accelerator", "cpu"]
        results[name] = measure(words, Rivals(images, loops), batches, args.repeats)
    return results


def summarise(measured: dict[str, Measured]) -> dict[str, dict]:
    """Medians; what the usual data path costs is the quotient of two ratios to the bare loop."""
    summary = {
        name: {**found.summary(), "target": TARGETS.get(name)} for name, found in measured.items()
    }
    ours = measured["dense"].ratios("bare")
    for name, usual in measured.items():
        if "DataLoader" in name:
            summary[name]["dense_over_this"] = spread(quotients(ours, usual.ratios("bare")))
            summary[name]["target"] = TARGETS["over_dataloader"]
    return summary


def show(summary: dict[str, dict]) -> None:
    """A row a fit."""
    titles = ["fit over", *LOOPS, "whole epoch over bare", "images/s", "target"]
    rows = [titles]
    for name, row in summary.items():
        usual = "dense_over_this" in row
        ratios = [in_words(row[f"over_{loop}"]) if f"over_{loop}" in row else "" for loop in LOOPS]
        target = "" if usual else f"at least {row['target']:.2f}"
        whole, speed = f"{row['epoch_over_bare']:.2f}", f"{row['images_per_second']:.0f}"
        rows.append([name, *ratios, whole, speed, target])
    print_table(rows)
    for name, row in summary.items():
        if "dense_over_this" in row:
            over = in_words(row["dense_over_this"])
            print(f"dense over {name}: {over}, target at least {row['target']:.0f}")


def main() -> None:
    """Measure, print, write."""
    parser = arguments(__doc__)
    parser.add_argument("--batches", type=int, default=300, help="of a dense epoch")
    parser.add_argument("--conv-batches", type=int, default=80, help="of a convolutional epoch")
    parser.add_argument("--repeats", type=int, default=5, help="rounds that are measured")
    parser.add_argument("--threads", type=int, help="torch's, instead of its own choice")
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    summary = summarise(measure_all(args))
    show(summary)
    settings = {"batch_size": BATCH_SIZE, "repeats": args.repeats, "batches": args.batches}
    settings |= {"conv_batches": args.conv_batches, "real_data": has_fashion_mnist(args.root)}
    finish(args, {"settings": settings, "fits": summary})


if __name__ == "__main__":
    main()
