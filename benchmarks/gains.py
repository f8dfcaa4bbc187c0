"""What each thing that makes a step cheaper gives: ``fit`` without it, and with what is optional.

    python benchmarks/gains.py --json gains.json

Each variant is a process of its own, in turn with the others; the seconds are those of its training
batches, the first epoch not counted. A ratio is the speed of the variant over that of ``fit`` as it
comes, in the same round. All of it runs on the CPU.
"""

import argparse
import json
import tempfile
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from statistics import median

from common import (
    BATCH_SIZE,
    CONV,
    DENSE,
    HERE,
    alternate,
    arguments,
    finish,
    in_words,
    print_table,
    quotients,
    run_python,
    spread,
)

COMPILED = "networks compiled"
OPTIONS = {
    "bfloat16": ["--trainer.precision", "bf16-mixed"],
    "channels last": ["--trainer.channels_last", "true"],
    "bfloat16, channels last": [
        *("--trainer.precision", "bf16-mixed"),
        *("--trainer.channels_last", "true"),
    ],
    COMPILED: ["--trainer.compile", "true"],
}
"""What a user may switch on."""
AS_IT_COMES = "as it comes"
PLAIN_ADAM = "without the fused Adam"
MODELS = {"conv": CONV, "dense": DENSE}


def look_for_a_gpu() -> None:
    """Let every step of the optimizer ask the driver."""
    from lightning_gen.cli import trainer

    trainer.stop_looking_for_a_gpu = lambda: None


def call_empty_hooks() -> None:
    """Call the hooks of a step that do nothing."""
    from lightning_gen.cli import trainer

    trainer.empty_hooks_skipped = nullcontext


def set_names_slowly() -> None:
    """Set the name of each hook as nn.Module does."""
    from lightning_gen.models.module import Module

    del Module.__setattr__


def move_batches() -> None:
    """Look through each batch for what is to be moved."""
    from lightning_gen.data.base import ImageDataModule

    del ImageDataModule.transfer_batch_to_device


CHANGES: dict[str, Callable[[], None]] = {
    "a look for a GPU at each step": look_for_a_gpu,
    "empty hooks called": call_empty_hooks,
    "hooks named through nn.Module": set_names_slowly,
    "batches looked through": move_batches,
}
"""What undoes one of the things that are on by default."""


def measure_here(args: argparse.Namespace) -> None:
    """Train in this process as the variant says, and write its seconds a batch."""
    from fits import Clock, fit
    from usual_data import fashion_mnist_words

    CHANGES.get(args.variant, lambda: None)()
    words = ["--config", str(MODELS[args.model]), *fashion_mnist_words(args.root)]
    words += OPTIONS.get(args.variant, [])
    if args.variant == PLAIN_ADAM:
        words += ["--model.optimizer.fused", "false", "--model.optimizer.foreach", "false"]
    words += ["--trainer.accelerator", "cpu", "--trainer.max_epochs", str(args.epochs + 1)]
    clock = Clock()
    fit([*words, "--trainer.limit_train_batches", str(args.batches)], clock)
    seconds = median(epoch.batches for epoch in clock.epochs[1:]) / args.batches
    args.json.write_text(json.dumps(seconds), encoding="utf-8")


def measure(model: str, variant: str, args: argparse.Namespace) -> float:
    """Seconds a batch, of a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "seconds.json"
        batches = args.batches if model == "dense" else args.conv_batches
        words = [str(HERE / "gains.py"), "--model", model, "--variant", variant]
        words += ["--root", str(args.root.resolve()), "--json", str(file)]
        run_python([*words, "--batches", str(batches), "--epochs", str(args.epochs)])
        return float(json.loads(file.read_text(encoding="utf-8")))


def measure_all(args: argparse.Namespace) -> dict[str, dict]:
    """All variants of both models, in turn."""
    variants = [AS_IT_COMES, PLAIN_ADAM, *CHANGES, *OPTIONS]
    if args.only is not None:
        variants = [name for name in variants if name in (AS_IT_COMES, *args.only)]
    results = {}
    for model in args.models:
        tasks = {name: partial(measure, model, name, args) for name in variants}
        found = alternate(tasks, args.repeats)
        results[model] = {
            name: {
                "images_per_second": BATCH_SIZE / median(seconds),
                "over_fit": spread(quotients(found[AS_IT_COMES], seconds)),
            }
            for name, seconds in found.items()
        }
    return results


def main() -> None:
    """Measure, print, write; or be one of the processes that are measured."""
    parser = arguments(__doc__)
    parser.add_argument("--batches", type=int, default=300, help="of a dense epoch")
    parser.add_argument("--conv-batches", type=int, default=60, help="of a convolutional epoch")
    parser.add_argument("--epochs", type=int, default=3, help="epochs of a process that count")
    parser.add_argument("--repeats", type=int, default=3, help="processes of each variant")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--only", nargs="+", metavar="VARIANT", help="those and no others")
    parser.add_argument("--model", choices=MODELS, help=argparse.SUPPRESS)
    parser.add_argument("--variant", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.variant is not None:
        measure_here(args)
        return
    results = measure_all(args)
    rows = [["fit", *(f"{model}, over fit as it comes" for model in results)]]
    for name in results[args.models[0]]:
        rows.append([name, *(in_words(found[name]["over_fit"]) for found in results.values())])
    print_table(rows)
    settings = {"batches": args.batches, "conv_batches": args.conv_batches}
    finish(args, {"settings": settings | {"repeats": args.repeats}, "variants": results})


if __name__ == "__main__":
    main()
