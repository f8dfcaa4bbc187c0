"""How fast ``lightning-gen fit`` trains beside pythae 0.1.2: epochs in turn, the same networks.

    python benchmarks/against_pythae.py --json pythae.json
    python benchmarks/against_pythae.py --vqvae --json vqvae.json

Two processes train at once and take turns: one epoch of ours, one of pythae's, and so on, while the
other waits. Both get the same networks with the same first weights, the same images, batches of
128 and Adam with a learning rate of 0.001; all else is what each does by default. Ours draws
pictures, writes checkpoints and shows a progress bar to a terminal that nobody sees, pythae keeps
its images as float32 in a DataLoader without workers, sums up the loss and writes its progress bar
into a file. Both VAEs minimise the Bernoulli loss, ours on logits, pythae's on probabilities, which
is what its losses take. The VQ-VAEs minimise the squared error, both codebooks are moving averages,
and ours evaluates the prior of its codes too, which pythae has apart. Start-up and the first epoch
of each are left out; a training epoch is without evaluation, a whole one has it, and all that comes
with it. What a fit changes for its process, such as its threads, acts on ours alone, as it
does for whoever runs both.

pythae lives in a virtual environment of its own, made once and used again: pip brings pythae and
what it needs, but torch and all else that is installed here is shared, so that both run the same
torch. pip's own settings (``PIP_FIND_LINKS``, ``PIP_NO_INDEX``) are those of this process.
"""

import argparse
import sys
import tempfile
from importlib.metadata import version
from json import loads
from pathlib import Path
from statistics import median
from typing import NamedTuple

from common import (
    CONV,
    DENSE,
    EXPERIMENTS,
    HERE,
    arguments,
    environment,
    finish,
    in_turn,
    in_words,
    print_table,
    quotients,
    spread,
)
from pythae_environment import PYTHAE, pythae_python, variables
from turns import Worker

TARGETS = {"dense": 1.3, "conv": 1.0}
EPOCHS = 100
"""Of the VQ-VAE; fewer are extrapolated."""
ADAM = (
    *("--model.optimizer", "torch.optim.Adam", "--model.optimizer.lr", "0.001"),
    *("--model.lr_scheduler", "null"),
)


class Turns(NamedTuple):
    """What each epoch after the first said, of us and of pythae."""

    ours: list[dict[str, float]]
    theirs: list[dict[str, float]]
    start_up: dict[str, float]
    settings: dict

    def ratios(self) -> list[float]:
        """Seconds of pythae over ours, in the training batches of each pair."""
        return quotients(*([e["training"] for e in side] for side in (self.theirs, self.ours)))

    def whole_ratios(self) -> list[float]:
        """The same of whole epochs of all training images."""
        return quotients(self.whole(self.theirs), self.whole(self.ours))

    def whole(self, side: list[dict[str, float]]) -> list[float]:
        """Seconds of whole epochs, as if there were no limit to their training batches."""
        batches = self.settings["images"]["train"] / self.settings["batch_size"]
        more = self.settings["full_epoch"] / batches - 1 if batches else 0
        return [epoch["whole"] + max(0, more) * epoch["training"] for epoch in side]

    def images_per_second(self, side: list[dict[str, float]]) -> float:
        """In the training batches."""
        return self.settings["images"]["train"] / median(e["training"] for e in side)


def take_turns(words: list[str], python: Path, rounds: int) -> Turns:
    """A fit of ours and a training of pythae's, ``rounds`` epochs of each after one to warm up."""
    with tempfile.TemporaryDirectory() as folder:
        words = [*words, "--trainer.max_epochs", str(rounds + 1)]
        our_command = [sys.executable, str(HERE / "our_side.py"), folder, *words]
        their_command = [str(python), str(HERE / "pythae_side.py"), f"{folder}/settings.json"]
        workers: dict[str, Worker] = {}
        try:
            workers["ours"] = Worker("lightning-gen", our_command, environment())
            workers["theirs"] = Worker("pythae", their_command, variables())
            answers: dict[str, list[dict[str, float]]] = {"ours": [], "theirs": []}
            for number in range(rounds + 1):
                for name in in_turn(number, answers):
                    answers[name].append(workers[name].turn())
            for worker in workers.values():
                worker.end()
        finally:
            for worker in workers.values():
                worker.kill()
        settings = loads((Path(folder) / "settings.json").read_text(encoding="utf-8"))
    start_up = {name: worker.start_up for name, worker in workers.items()}
    return Turns(answers["ours"][1:], answers["theirs"][1:], start_up, settings)


def vae_words(args: argparse.Namespace) -> dict[str, list[str]]:
    """The two VAEs."""
    from usual_data import fashion_mnist_words

    data = [*fashion_mnist_words(args.root), "--data.val_fraction", "0.1"]
    words = [*ADAM, *data, "--trainer.accelerator", args.accelerator]
    fits = {
        "dense": ["--config", str(DENSE), *words],
        "conv": ["--config", str(CONV), *words],
    }
    for name, batches in {"dense": args.batches, "conv": args.conv_batches}.items():
        if batches is not None:
            fits[name] += ["--trainer.limit_train_batches", str(batches)]
    return fits


def vqvae_words(args: argparse.Namespace, epochs: int) -> list[str]:
    """The VQ-VAE on 50,000 images of MNIST, 10,000 for validation."""
    from usual_data import mnist_words

    words = ["--config", str(EXPERIMENTS / "fashion_mnist_vqvae.yaml"), *ADAM]
    words += ["--model.likelihood", "lightning_gen.objectives.Gaussian"]
    words += ["--model.autoencoder_epochs", str(epochs + 1)]
    words += [*mnist_words(args.root), "--data.val_fraction", str(1 / 6)]
    if args.batches is not None:
        words += ["--trainer.limit_train_batches", str(args.batches)]
    return [*words, "--trainer.accelerator", args.accelerator]


def vaes(args: argparse.Namespace, python: Path) -> dict:
    """Measure both VAEs, print a table."""
    rows = [["", "ours, images/s", "pythae", "ratio", "whole epoch", "target"]]
    results = {}
    for name, words in vae_words(args).items():
        print(f"... {name} VAE, {args.repeats} epochs of each in turn", flush=True)
        turns = take_turns(words, python, args.repeats)
        results[name] = {
            "images_per_second": turns.images_per_second(turns.ours),
            "pythae_images_per_second": turns.images_per_second(turns.theirs),
            "over_pythae": spread(turns.ratios()),
            "whole_epoch_over_pythae": spread(turns.whole_ratios()),
            "target": TARGETS[name],
        }
        row = results[name]
        rows.append(
            [
                f"{name} VAE",
                f"{row['images_per_second']:.0f}",
                f"{row['pythae_images_per_second']:.0f}",
                in_words(row["over_pythae"]),
                in_words(row["whole_epoch_over_pythae"]),
                f"at least {TARGETS[name]:.1f}",
            ]
        )
    print_table(rows)
    return {"vaes": results}


def vqvae(args: argparse.Namespace, python: Path) -> dict:
    """Measure the VQ-VAE, print its seconds."""
    import torch

    gpu = args.accelerator != "cpu" and torch.cuda.is_available()
    if not gpu and args.batches is None:
        args.batches = 40
    epochs = args.epochs or (EPOCHS - 1 if gpu else 3)
    print(f"... VQ-VAE, {epochs} epochs of each in turn", flush=True)
    turns = take_turns(vqvae_words(args, epochs), python, epochs)
    seconds = {}
    for name, side in {"ours": turns.ours, "pythae": turns.theirs}.items():
        start = turns.start_up["ours" if name == "ours" else "theirs"]
        seconds[name] = start + EPOCHS * median(turns.whole(side))
    print_table(
        [
            ["", f"s for {EPOCHS} epochs", "s an epoch, without evaluation"],
            ["ours", f"{seconds['ours']:.0f}", in_words(spread(training(turns.ours)))],
            ["pythae", f"{seconds['pythae']:.0f}", in_words(spread(training(turns.theirs)))],
        ]
    )
    print(f"Start-up and {EPOCHS} times the median of {epochs} whole epochs after the first.")
    if not gpu:
        print("Measured on a CPU: what a GPU takes was not measured.")
    print(f"A training epoch: {in_words(spread(turns.ratios()))} times pythae's speed.")
    return {
        "vqvae": {
            "seconds": seconds["ours"],
            "pythae_seconds": seconds["pythae"],
            "epochs": EPOCHS,
            "measured_epochs": epochs,
            "over_pythae": spread(turns.ratios()),
            "whole_epoch_over_pythae": spread(turns.whole_ratios()),
        }
    }


def training(side: list[dict[str, float]]) -> list[float]:
    """Seconds of each epoch in its training batches."""
    return [epoch["training"] for epoch in side]


def main() -> None:
    """Measure, print, write."""
    folder = f"lightning_gen_pythae_{sys.version_info[0]}{sys.version_info[1]}_{version('torch')}"
    parser = arguments(__doc__)
    parser.add_argument("--vqvae", action="store_true", help="the VQ-VAE instead of the VAEs")
    parser.add_argument(
        "--batches",
        type=int,
        help="of an epoch of the dense VAE (default: all) "
        "or of the VQ-VAE (default: all on a GPU, else 40)",
    )
    parser.add_argument("--conv-batches", type=int, default=100, help="of a convolutional epoch")
    parser.add_argument("--repeats", type=int, default=15, help="pairs of epochs of a VAE")
    parser.add_argument("--epochs", type=int, help="of the VQ-VAE (default: 99 on a GPU, else 3)")
    parser.add_argument("--accelerator", default="auto", help="cpu, cuda or auto")
    parser.add_argument(
        "--venv", type=Path, default=Path(tempfile.gettempdir()) / folder, help="pythae's home"
    )
    args = parser.parse_args()
    python = pythae_python(args.venv)
    results = (vqvae if args.vqvae else vaes)(args, python)
    finish(args, {"pythae": PYTHAE.partition("==")[2], **results})


if __name__ == "__main__":
    main()
