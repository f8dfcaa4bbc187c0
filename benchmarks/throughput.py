"""How fast ``lightning-gen fit`` trains: images per second over those of a bare PyTorch loop.

    python benchmarks/throughput.py --json throughput.json

Each fit is the command line's own, in this process, with all that it does by default; its progress
bar is drawn for a terminal that nobody sees. After each epoch the bare loop trains the same
networks on the same images for as many batches, so that both meet the same machine. A ratio is that
of such a pair; the first pair is warm-up. All of it runs on the CPU.
"""

import argparse
import io
import tempfile
import time
import warnings
from contextlib import redirect_stdout
from copy import deepcopy
from pathlib import Path
from statistics import mean, median
from typing import NamedTuple
from unittest.mock import patch

import torch
import torch.nn.functional as F
from common import describe_machine, spread, write_json
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from usual_data import TiledMiniFashionMNIST, has_fashion_mnist

from lightning_gen import cli
from lightning_gen.cli.training_cli import TrainingCLI
from lightning_gen.data import FashionMNIST

CONF = Path(__file__).parents[1] / "conf"
BATCH_SIZE = 128
DENSE = "fashion_mnist_dense_vae"
CONV = "fashion_mnist_conv_vae"
TARGETS = {"conv": 0.90, "dense": 0.75, "over_dataloader": 2.0}


class Pair(NamedTuple):
    """Seconds of an epoch of a fit, and of the bare loop after it."""

    batches: float
    """From the start of the epoch to the end of its last training batch."""
    others: float
    """The rest of the epoch: validation, checkpoints, pictures."""
    bare: float
    """As many batches in the bare loop."""


class BareLoop:
    """What it takes to train a VAE without a framework.

    Args:
        model: copies of its encoder and decoder are trained.
        images: all training images, uint8.
    """

    def __init__(self, model: LightningModule, images: Tensor) -> None:
        self.encoder, self.decoder = deepcopy(model.encoder), deepcopy(model.decoder)
        self.images = images.float() / 255
        parameters = [*self.encoder.parameters(), *self.decoder.parameters()]
        self.optimizer = torch.optim.Adam(parameters, lr=1e-3)

    def loss(self, images: Tensor) -> Tensor:
        """The negative ELBO in nats per image."""
        mean, log_var = self.encoder(images).chunk(2, dim=1)
        codes = mean + torch.exp(0.5 * log_var) * torch.randn_like(mean)
        logits = self.decoder(codes)
        nats = F.binary_cross_entropy_with_logits(logits, images, reduction="sum")
        kl = 0.5 * (mean.square() + log_var.exp() - 1 - log_var).sum()
        return (nats + kl) / len(images)

    def train(self, batches: int) -> None:
        """Train on so many batches of a new permutation."""
        order = torch.randperm(len(self.images))
        for indices in order.split(BATCH_SIZE)[:batches]:
            self.optimizer.zero_grad()
            self.loss(self.images[indices]).backward()
            self.optimizer.step()


class Rival(Callback):
    """Times the epochs of a fit, and lets the bare loop train after each.

    Args:
        images: all training images, uint8, for the bare loop.
        batches: training batches of an epoch.
    """

    def __init__(self, images: Tensor, batches: int) -> None:
        self.images = images
        self.batches = batches
        self.pairs: list[Pair] = []
        self.full_epoch = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Build the bare loop from the model as it starts."""
        self.full_epoch = len(trainer.train_dataloader)
        self.loop = BareLoop(pl_module, self.images)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        self.started = time.perf_counter()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: object, batch: object, i: int
    ) -> None:
        """Note the end of the latest batch."""
        self.trained = time.perf_counter()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """After validation, checkpoints and pictures: the bare loop's turn."""
        ended = time.perf_counter()
        self.loop.train(self.batches)
        bare = time.perf_counter() - ended
        self.pairs.append(Pair(self.trained - self.started, ended - self.trained, bare))


class Terminal(io.StringIO):
    """Takes a progress bar and shows it to nobody."""

    def isatty(self) -> bool:
        """Yes."""
        return True


class Measured(NamedTuple):
    """What one fit gave: a value for each pair, images per second in the training batches."""

    fit: list[float]
    bare: list[float]
    ratios: list[float]
    epoch_ratio: float
    """Of whole epochs over bare ones, everything included."""


def measure(experiment: str, data: list[str], rival: Rival, repeats: int) -> Measured:
    """Train ``repeats`` epochs and one for warm-up."""
    with tempfile.TemporaryDirectory() as folder:
        words = ["fit", "--config", str(CONF / "experiment" / f"{experiment}.yaml"), *data]
        words += ["--trainer.accelerator", "cpu", "--trainer.max_epochs", str(repeats + 1)]
        words += ["--trainer.limit_train_batches", str(rival.batches)]
        words += ["--trainer.default_root_dir", folder]
        hooks = {
            "before_fit": lambda cli: cli.trainer.callbacks.append(rival),
            "after_fit": lambda cli: None,
        }
        with patch.multiple(TrainingCLI, **hooks), redirect_stdout(Terminal()):
            code = cli.main(words)
    if code:
        raise SystemExit(code)
    pairs = rival.pairs[1:]
    images, epochs = rival.batches * BATCH_SIZE, rival.full_epoch / rival.batches
    whole = epochs * mean(p.batches for p in pairs) + mean(p.others for p in pairs)
    return Measured(
        fit=[images / p.batches for p in pairs],
        bare=[images / p.bare for p in pairs],
        ratios=[p.bare / p.batches for p in pairs],
        epoch_ratio=epochs * mean(p.bare for p in pairs) / whole,
    )


def measure_all(args: argparse.Namespace) -> dict[str, Measured]:
    """The four fits, each beside the bare loop."""
    if has_fashion_mnist(args.root):
        source = FashionMNIST(str(args.root), download=False)
        root = str(args.root)
        ours = ["--data.root", root]
    else:
        source = TiledMiniFashionMNIST()
        root = ""
        ours = ["--allow", "usual_data", "--data", "usual_data.TiledMiniFashionMNIST"]
    usual = [
        "--allow",
        "usual_data",
        "--data",
        "usual_data.UsualFashionMNIST",
        "--data.root",
        root,
        "--data.num_workers",
    ]
    images = source.load_train().images
    fits = {
        "conv": (CONV, ours, args.conv_batches),
        "dense": (DENSE, ours, args.batches),
        "dense, DataLoader with 0 workers": (DENSE, [*usual, "0"], args.batches),
        "dense, DataLoader with 2 workers": (DENSE, [*usual, "2"], args.batches),
    }
    results = {}
    for name, (experiment, data, batches) in fits.items():
        print(f"... {name}, on {type(source).__name__}", flush=True)
        results[name] = measure(experiment, data, Rival(images, batches), args.repeats)
    return results


def summarise(measured: dict[str, Measured]) -> dict[str, dict]:
    """Medians; what the usual data path costs is the quotient of two ratios to the bare loop."""
    summary = {
        name: {
            "images_per_second": median(fit.fit),
            "bare_images_per_second": median(fit.bare),
            "over_bare": spread(fit.ratios),
            "epoch_over_bare": fit.epoch_ratio,
            "target": TARGETS.get(name),
        }
        for name, fit in measured.items()
    }
    ours = measured["dense"].ratios
    for name, fit in measured.items():
        if "DataLoader" in name:
            quotients = [a / b for a, b in zip(ours, fit.ratios, strict=True)]
            summary[name]["dense_over_this"] = spread(quotients)
            summary[name]["target"] = TARGETS["over_dataloader"]
    return summary


def print_table(summary: dict[str, dict]) -> None:
    """A row a fit."""
    print(f"\n{'':32}{'images/s':>9}{'over bare loop':>22}{'whole epoch':>13}  target")
    for name, row in summary.items():
        target = "" if "dense_over_this" in row else f"at least {row['target']:.2f}"
        print(
            f"{name:32}{row['images_per_second']:>9.0f}{words(row['over_bare']):>22}"
            f"{row['epoch_over_bare']:>13.2f}  {target}"
        )
    for name, row in summary.items():
        if "dense_over_this" in row:
            over = words(row["dense_over_this"])
            print(f"dense over {name}: {over}, target at least {row['target']:.0f}")


def words(ratio: dict[str, float]) -> str:
    """Median and range in a line."""
    return f"{ratio['median']:.2f} ({ratio['min']:.2f} to {ratio['max']:.2f})"


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--root", type=Path, default=Path("data"), help="folder of Fashion-MNIST")
    parser.add_argument("--batches", type=int, default=400, help="of a dense epoch")
    parser.add_argument("--conv-batches", type=int, default=100, help="of a convolutional epoch")
    parser.add_argument("--repeats", type=int, default=5, help="pairs that are measured")
    parser.add_argument("--threads", type=int, help="torch's, instead of its own choice")
    parser.add_argument("--json", type=Path, help="file for the results")
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    warnings.filterwarnings("ignore", message=".*does not have many workers")
    summary = summarise(measure_all(args))
    machine = describe_machine()
    print_table(summary)
    print(", ".join(f"{name} {value}" for name, value in machine.items()))
    settings = {"batch_size": BATCH_SIZE, "repeats": args.repeats, "batches": args.batches}
    settings |= {"conv_batches": args.conv_batches, "real_data": has_fashion_mnist(args.root)}
    write_json(args.json, {"machine": machine, "settings": settings, "fits": summary})


if __name__ == "__main__":
    main()
