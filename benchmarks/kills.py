"""Kills trainings at random times, lets them go on, and compares with undisturbed ones.

    python benchmarks/kills.py --kills 100 --json kills.json

Each family is trained once without a disturbance. Then it is trained again and again: all of its
processes are killed after a random time and started with ``--ckpt_path last``, up to four times
before it may end. A kill is survived when the training that had it ends with the same parameters,
optimizers, random states and ``metrics.csv``, to the bit.
"""

import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from common import arguments, environment, finish
from PIL import Image
from torch import Tensor

from lightning_gen.callbacks import Interruption
from lightning_gen.cli import main as command
from lightning_gen.data import MiniFashionMNIST
from lightning_gen.training.directory import RunDirectory

SECONDS = 0.03
"""Between checkpoints: the 15 minutes of the default, for trainings of seconds."""
COMMON = (
    *("--trainer.max_epochs", "4", "--trainer.limit_train_batches", "14"),
    *("--trainer.limit_val_batches", "3", "--trainer.log_every_n_steps", "1"),
    *("--trainer.enable_progress_bar", "false", "--test_after_fit", "false"),
    *("--trainer.accelerator", "cpu", "--default_pictures", "false", "--name", "run"),
)
MINI = ("--data", "MiniFashionMNIST", "--data.batch_size", "10")
VAE = ("--model", "VAE", "--model.architecture", "Dense", "--model.architecture.widths", "[16]")
FAMILIES = {
    "VAE": (
        *(*VAE, *MINI, "--data.binarize", "dynamic", "--model.lr_scheduler"),
        *("torch.optim.lr_scheduler.ReduceLROnPlateau", "--model.lr_scheduler.patience", "0"),
    ),
    "VQVAE": (
        *("--model", "VQVAE", "--model.autoencoder_epochs", "2", "--model.architecture"),
        *("SpatialResidual", "--model.architecture.widths", "[4, 8]"),
        *("--model.architecture.blocks", "1", "--model.codebook.size", "16"),
        *("--model.codebook.dim", "4", "--model.prior.width", "8", "--model.prior.heads", "1"),
        *("--model.prior.depth", "1", "--data", "ImageFolder", "--data.root", "../images"),
        *("--data.image_size", "[28, 28]", "--data.batch_size", "4", "--data.num_workers", "1"),
    ),
    "DCGAN": (
        *("--model", "DCGAN", "--model.latent_dim", "4", "--model.architecture.widths", "[4]"),
        *(*MINI, "--model.lr_scheduler", "torch.optim.lr_scheduler.ExponentialLR"),
        *("--model.lr_scheduler.gamma", "0.9"),
        *("--trainer.callbacks", "lightning.pytorch.callbacks.EMAWeightAveraging"),
    ),
    "CGAN": (
        *(
            "--model",
            "CGAN",
            "--model.latent_dim",
            "4",
            "--model.architecture.widths",
            "[4]",
            *MINI,
        ),
        *("--model.architecture.norm_discriminator", "false", "--model.augment", "DiffAugment"),
        *("--model.penalty", "R1R2", "--model.penalty.every", "2"),
    ),
    "VAE, two processes": (*VAE, *MINI, "--trainer.strategy", "ddp", "--trainer.devices", "2"),
}
MOST_KILLS = 4
IMPORTED = multiprocessing.get_context("forkserver")
"""Its processes begin as forks of one that has imported everything, which takes seconds."""
IMPORTED.set_forkserver_preload(["lightning_gen.cli.training"])


class Training:
    """A family's training in a folder of its own, which is made.

    Args:
        family: one of ``FAMILIES``.
        folder: where it runs.
    """

    def __init__(self, family: str, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.words = ["fit", *COMMON, *FAMILIES[family]]

    @property
    def run(self) -> RunDirectory:
        """The latest run; a training that was killed before its first checkpoint has more."""
        return RunDirectory.all_of(self.folder / "logs", "run")[-1]

    def live(self, seconds: float | None) -> bool:
        """Go on, and be killed after ``seconds``; whether it ended before."""
        begun = (self.folder / "logs").exists() and self.run.resumable
        words = [*self.words, *(("--ckpt_path", "last") if begun else ())]
        process = IMPORTED.Process(target=fit, args=(words, self.folder))
        process.start()
        process.join(seconds)
        killed = process.is_alive()
        if killed:
            process.kill()  # which has no session of its own yet in its first moments
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.join()
        elif process.exitcode:
            raise SystemExit((self.folder / "log.txt").read_text())
        return not killed

    def result(self) -> dict[str, Any]:
        """What must not depend on kills."""
        kept = torch.load(self.run.last, weights_only=True)
        parts = ("state_dict", "current_model_state", "optimizer_states", "lr_schedulers")
        return {
            **{part: kept.get(part) for part in parts},
            "random state": kept["callbacks"]["RandomState"],
            "metrics.csv": self.run.metrics.read_text(),
        }


def fit(words: list[str], folder: Path) -> None:
    """Run the command in this process, in a session of its own."""
    os.setsid()
    os.chdir(folder)
    with Path("log.txt").open("a") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    sys.argv = [__file__, *words]  # what Lightning starts its other processes with
    Interruption.__init__.__defaults__ = (SECONDS / 60,)  # type: ignore[misc]
    sys.exit(command(words))


def same(one: Any, other: Any) -> bool:
    """Whether two nested values are equal to the bit."""
    if isinstance(one, Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def measure(family: str, kills: int, folder: Path) -> dict[str, Any]:
    """Kill a family's training ``kills`` times."""
    start = time.monotonic()
    undisturbed = Training(family, folder / "whole")
    undisturbed.live(None)
    seconds = time.monotonic() - start
    expected = undisturbed.result()
    found: dict[str, Any] = {"kills": 0, "survived": 0, "trainings": 0, "differences": []}
    while found["kills"] < kills:
        training = Training(family, folder / f"killed_{found['trainings']}")
        had = 0
        while had < min(MOST_KILLS, kills - found["kills"]):
            if training.live(random.uniform(0, 1.2 * seconds)):
                break
            had += 1
        else:
            training.live(None)
        result = training.result()
        differences = [name for name in expected if not same(expected[name], result[name])]
        found["kills"] += had
        found["survived"] += 0 if differences else had
        found["trainings"] += 1
        found["differences"] += differences
    return found


def main() -> None:
    """Measure each family, print, write."""
    parser = arguments(__doc__)
    parser.add_argument("--kills", type=int, default=100, help="of all families together")
    parser.add_argument("--families", nargs="+", default=list(FAMILIES), choices=list(FAMILIES))
    parser.add_argument("--seed", type=int, default=0, help="of the times of the kills")
    args = parser.parse_args()
    os.environ.update(environment() | {"OMP_NUM_THREADS": "1"})
    random.seed(args.seed)
    first = IMPORTED.Process(target=int)
    first.start()
    first.join()  # the imports are done, and in no training's time
    results = {}
    for number, family in enumerate(args.families):
        share = args.kills // len(args.families) + (number < args.kills % len(args.families))
        with tempfile.TemporaryDirectory() as folder:
            images = Path(folder) / "images"
            images.mkdir()
            for place, image in enumerate(MiniFashionMNIST().load("test").images[:80, 0]):  # type: ignore[attr-defined]
                Image.fromarray(image.numpy()).save(images / f"{place:03}.png")
            results[family] = measure(family, share, Path(folder).resolve())
        print(family, results[family], flush=True)
    finish(args, results)


if __name__ == "__main__":
    if sys.argv[1:2] == ["fit"]:
        Interruption.__init__.__defaults__ = (SECONDS / 60,)
        sys.exit(command())
    main()
