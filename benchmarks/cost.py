"""What callbacks and metrics cost: whole runs of the dense VAE with them and without.

    python benchmarks/cost.py --json cost.json

Every run is the command line's own, in this process, its pictures drawn by another as those of the
command are, of ``--epochs`` short epochs with a whole validation after each. ``nothing`` is a run
without pictures and without a progress bar, which still keeps its checkpoints and its metrics.csv;
the others are that run and one thing more, and ``defaults`` is what a run has that asks for
nothing. A cost is the difference of two runs of the same round, and its share is of the time that
``nothing`` takes to train as many whole epochs of 60,000 images; seconds of the processor that this
process took stand beside it, which a machine that does other things too moves less. Pictures are
drawn as often as by default, most of them every fifth epoch. Scores are taken in a test after the
training, of which ``test`` is one without any; their shares are of the same time. The rounds are in
another order each; one run of all defaults and scores is warm-up.
"""

import argparse
import time
from collections.abc import Callable, Mapping
from functools import partial
from statistics import mean
from typing import NamedTuple

from common import (
    DENSE,
    alternate,
    arguments,
    finish,
    in_words,
    print_table,
    spread,
)
from fits import Clock, fit
from usual_data import fashion_mnist_words

from lightning_gen.callbacks import artist
from lightning_gen.cli.defaults import pictures
from lightning_gen.models import VAE
from lightning_gen.networks import Dense

NO_BAR = ("--trainer.enable_progress_bar", "false")
NOTHING = ("--trainer.callbacks", "[]", *NO_BAR)
EMPTY = ("--trainer.callbacks", "lightning.pytorch.callbacks.LambdaCallback", *NO_BAR)
"""A callback that does nothing; scores alone would leave the default pictures on."""


class Run(NamedTuple):
    """Seconds of a run."""

    whole: float
    cpu: float
    """Of all its threads together, which another process on the machine moves less."""
    batches: float
    """Of a training batch."""
    full_epoch: int
    """Batches of an epoch without a limit."""


class Sizes(NamedTuple):
    """Of the runs."""

    epochs: int
    batches: int
    images: int
    """That a score is of."""


def run(words: tuple[str, ...], base: list[str], sizes: Sizes, finish: bool = False) -> Run:
    """A run of the dense VAE."""
    clock = Clock()
    epochs = 1 if finish else sizes.epochs
    limits = ["--trainer.max_epochs", str(epochs), "--trainer.limit_train_batches"]
    started = time.process_time()
    whole = fit([*base, *limits, str(sizes.batches), *words], clock, finish=finish)
    cpu = time.process_time() - started
    batch = mean(epoch.batches for epoch in clock.epochs) / sizes.batches
    return Run(whole, cpu, batch, clock.full_epoch)


def score(kind: str, sizes: Sizes, *options: str) -> tuple[str, ...]:
    """The words that ask for a score."""
    name = f"lightning_gen.callbacks.{kind}"
    asked = ("--trainer.callbacks+", name, "--trainer.callbacks.num_images", str(sizes.images))
    return (*EMPTY, *asked, *options)


def tasks(base: list[str], sizes: Sizes) -> dict[str, Callable[[], Run]]:
    """All runs of a round."""
    found = {
        "nothing": NOTHING,
        "defaults": (),
        "progress bar": NOTHING[:2],
        "metrics logged at every step": (*NOTHING, "--trainer.log_every_n_steps", "1"),
    }
    for callback in pictures(VAE((1, 28, 28), architecture=Dense())):
        name = type(callback).__name__
        words = ("--trainer.callbacks", f"lightning_gen.callbacks.{name}", *NO_BAR)
        found[name] = words
    extractor = ("--trainer.callbacks.extractor", "lightning_gen.features.FashionMNISTClassifier")
    scores = {
        "test": EMPTY,
        "test, ReconstructionQuality": score("ReconstructionQuality", sizes),
        "test, AggregatePosterior": score("AggregatePosterior", sizes),
        "test, SampleQuality": score("SampleQuality", sizes, *extractor),
    }
    return {
        **{name: partial(run, words, base, sizes) for name, words in found.items()},
        **{name: partial(run, words, base, sizes, True) for name, words in scores.items()},
    }


def costs(measured: Mapping[str, list[Run]], sizes: Sizes) -> dict[str, dict]:
    """Seconds of each beyond its rival without, and their share of the training."""
    nothing = measured["nothing"]
    training = [r.batches * r.full_epoch * sizes.epochs for r in nothing]
    results = {}
    for name, runs in measured.items():
        without = measured["test"] if name.startswith("test,") else nothing
        if name == "test":
            results[name] = {"run_seconds": spread(r.whole for r in runs)}
            continue
        more = [a.whole - b.whole for a, b in zip(runs, without, strict=True)]
        results[name] = {
            "run_seconds": spread(r.whole for r in runs),
            "added_seconds": spread(more),
            "added_cpu_seconds": spread(a.cpu - b.cpu for a, b in zip(runs, without, strict=True)),
            "share_of_training": spread(m / t for m, t in zip(more, training, strict=True)),
        }
    results["nothing"] = {
        "run_seconds": results["nothing"]["run_seconds"],
        "training_seconds_of_whole_epochs": spread(training),
    }
    return results


def show(results: Mapping[str, dict], sizes: Sizes) -> None:
    """A row a run."""
    rows = [["", "s of the run", "s more than without", "CPU s more", "share of training in %"]]
    for name, row in results.items():
        more = in_words(row["added_seconds"]) if "added_seconds" in row else ""
        cpu = in_words(row["added_cpu_seconds"]) if "added_cpu_seconds" in row else ""
        share = ""
        if "share_of_training" in row:
            percent = {key: 100 * value for key, value in row["share_of_training"].items()}
            share = in_words(percent, 1)
        rows.append([name, in_words(row["run_seconds"]), more, cpu, share])
    print_table(rows)
    training = in_words(results["nothing"]["training_seconds_of_whole_epochs"], 1)
    print(f"Training is {sizes.epochs} whole epochs of {training} s in all.")
    print(f"Scores are of {sizes.images} images.")


def main() -> None:
    """Measure, print, write."""
    parser = arguments(__doc__)
    parser.add_argument("--epochs", type=int, default=5, help="of a run")
    parser.add_argument("--batches", type=int, default=20, help="of an epoch")
    parser.add_argument("--images", type=int, default=2000, help="that a score is of")
    parser.add_argument("--repeats", type=int, default=5, help="rounds")
    args: argparse.Namespace = parser.parse_args()
    sizes = Sizes(args.epochs, args.batches, args.images)
    base = ["--config", str(DENSE), *fashion_mnist_words(args.root), "--trainer.accelerator", "cpu"]
    every = tasks(base, sizes)
    artist.hire()
    for name in ("defaults", "test, SampleQuality"):
        print(f"... {name}, to warm up", flush=True)
        every[name]()
    results = costs(alternate(every, args.repeats), sizes)
    show(results, sizes)
    settings = {**sizes._asdict(), "repeats": args.repeats}
    finish(args, {"settings": settings, "costs": results})


if __name__ == "__main__":
    main()
