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

What a fit changes for its process, such as how many threads there are, acts
on its rivals too, since they share the process.
"""

import argparse
from collections.abc import Callable, Mapping
from functools import partial
from statistics import median
from typing import NamedTuple

from bare import BareLoop, TunedLoop
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
from usual_data import fashion_mnist, fashion_mnist_words, has_fashion_mnist, usual_words


class Rivals(Clock):
    """Lets loops written by hand train after each epoch of a fit.

    Args:
        images: all training images, uint8, for the loops.
        loops: their classes.
        options: of all of them.
    """

    def __init__(
        self, images: Tensor, loops: Mapping[str, Callable[..., BareLoop]], **options: object
    ) -> None:
        super().__init__()
        self.images = images
        self.kinds = loops
        self.options = options
        self.seconds: dict[str, list[float]] = {name: [] for name in loops}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Build the loops from the model as it starts."""
        self.loops = {
            name: kind(pl_module, self.images, **self.options) for name, kind in self.kinds.items()
        }

    def over(self, trainer: Trainer, model: LightningModule) -> None:
        """As many batches for each."""
        for name in in_turn(len(self.epochs), self.loops):
            started = now()
            self.loops[name].train(trainer.num_training_batches)
            self.seconds[name].append(now() - started)


def measure(words: list[str], rivals: Rivals, batches: int, repeats: int) -> dict:
    """Speeds and ratios of ``repeats`` epochs of so many batches, after one for warm-up."""
    words = [*words, "--trainer.max_epochs", str(repeats + 1)]
    for split in ("train", "val"):  # validation is in nobody's time
        words += [f"--trainer.limit_{split}_batches", str(batches)]
    fit(words, rivals)
    ours = rivals.epochs[1:]
    images = batches * int(rivals.options.get("batch_size", BATCH_SIZE))
    found: dict = {"images_per_second": images / median(ours)}
    for name, (_, *seconds) in rivals.seconds.items():
        found[f"{name}_images_per_second"] = images / median(seconds)
        found[f"over_{name}"] = spread(quotients(seconds, ours))
    return found


class Fit(NamedTuple):
    """A fit and what trains beside it.

    Attributes:
        words: of the command.
        rivals: makes the loops; a function, since they hold the images.
        batches: of an epoch.
    """

    words: list[str]
    rivals: Callable[[], Rivals]
    batches: int


def measure_all(fits: Mapping[str, Fit], args: argparse.Namespace, **settings: object) -> None:
    """Measure the fits, print a row each; what is measured is written after each of them."""
    results: dict[str, dict] = {}
    for name, (words, rivals, batches) in fits.items():
        if args.only not in name:
            continue
        print(f"... {name}", flush=True)
        results[name] = measure(words, rivals(), batches, args.repeats)
        finish(args, {"settings": {"repeats": args.repeats, **settings}, "fits": results})
    loops = dict.fromkeys(key for row in results.values() for key in row if key.startswith("over_"))
    rows = [["fit over", *(loop[5:] for loop in loops), "images/s"]]
    for name, row in results.items():
        ratios = [in_words(row[loop]) if loop in row else "" for loop in loops]
        rows.append([name, *ratios, f"{row['images_per_second']:.0f}"])
    print_table(rows)


def options(description: str | None, repeats: int) -> argparse.ArgumentParser:
    """Those of a benchmark of fits."""
    parser = arguments(description)
    parser.add_argument("--only", default="", help="those fits whose name has this in it")
    parser.add_argument("--repeats", type=int, default=repeats, help="rounds that are measured")
    return parser


def main() -> None:
    """Measure, print, write."""
    parser = options(__doc__, 5)
    parser.add_argument("--batches", type=int, default=300, help="of a dense epoch")
    parser.add_argument("--conv-batches", type=int, default=80, help="of a convolutional epoch")
    args = parser.parse_args()
    images = fashion_mnist(args.root).load("train").images
    ours, usual = fashion_mnist_words(args.root), partial(usual_words, args.root)
    loops = partial(Rivals, images, {"bare": BareLoop, "tuned": TunedLoop})
    only_bare = partial(Rivals, images, {"bare": BareLoop})
    dense, conv = (["--trainer.accelerator", "cpu", "--config", str(c)] for c in (DENSE, CONV))
    fits = {
        "conv": Fit([*conv, *ours], loops, args.conv_batches),
        "dense": Fit([*dense, *ours], loops, args.batches),
        "dense, DataLoader": Fit([*dense, *usual(0)], only_bare, args.batches),
        "dense, DataLoader with 2 workers": Fit([*dense, *usual(2)], only_bare, args.batches),
    }
    measure_all(fits, args, real_data=has_fashion_mnist(args.root))
    print("Targets over bare: conv at least 0.93, dense at least 0.85.")


if __name__ == "__main__":
    main()
