"""Kills trainings at random times, lets them go on, and compares with undisturbed ones.

    python benchmarks/kills.py --kills 100 --json kills.json

Each family is trained once without a disturbance. Then it is trained again and again: the process,
or all of its processes, is killed after a random time and started with ``--ckpt_path last``, up to
four times before it may end. A kill is survived when the training that had it ends with the same
parameters, optimizers, random states and ``metrics.csv``, to the bit.
"""

import argparse
import contextlib
import os
import random
import shutil
import socket
import sys
import tempfile
import time
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from common import describe_machine, write_json
from lightning.pytorch.utilities import rank_zero_only
from PIL import Image
from torch import Tensor

from lightning_gen.callbacks import Interruption
from lightning_gen.data import MiniFashionMNIST
from lightning_gen.runs import RunDirectory

SECONDS = 0.03
"""Between checkpoints: the 15 minutes of the default, for trainings of seconds."""
COMMON = (
    *("--trainer.max_epochs", "4", "--trainer.limit_train_batches", "14"),
    *("--trainer.limit_val_batches", "3", "--trainer.log_every_n_steps", "1"),
    *("--trainer.enable_progress_bar", "false", "--test_after_fit", "false"),
    *("--trainer.accelerator", "cpu", "--default_pictures", "false"),
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
        *("--model.prior.depth", "1"),
        *("--data", "ImageFolder", "--data.root", "images", "--data.image_size", "[28, 28]"),
        *("--data.batch_size", "4", "--data.num_workers", "1"),
    ),
    "DCGAN": (
        *(
            "--model",
            "DCGAN",
            "--model.latent_dim",
            "4",
            "--model.architecture.widths",
            "[4]",
            *MINI,
        ),
        *("--model.lr_scheduler", "torch.optim.lr_scheduler.ExponentialLR"),
        *("--model.lr_scheduler.gamma", "0.9"),
        *("--trainer.callbacks", "lightning.pytorch.callbacks.EMAWeightAveraging"),
    ),
    "VAE, two processes": (*VAE, *MINI, "--trainer.strategy", "ddp", "--trainer.devices", "2"),
}
PROCESSES = {"VAE, two processes": 2}
MOST_KILLS = 4


def train(words: list[str], folder: Path, rank: int, port: int, processes: int) -> None:
    """Run ``fit`` in this process, as one of ``processes``."""
    from lightning_gen.cli import main

    os.chdir(folder)
    log = (folder / f"log_{rank}.txt").open("a")
    os.dup2(log.fileno(), 1)
    os.dup2(log.fileno(), 2)
    torch.set_num_threads(1)
    Interruption.__init__.__defaults__ = (SECONDS / 60,)
    if processes > 1:  # as torchrun would start them
        os.environ |= {
            **{"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(processes)},
            **{"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "GROUP_RANK": "0"},
            **{"TORCHELASTIC_RUN_ID": "kills", "LOCAL_WORLD_SIZE": str(processes)},
        }
        rank_zero_only.rank = rank  # read of the variables when Lightning was imported
    sys.argv = ["lightning-gen", *words]
    os._exit(main(words))


class Training:
    """A family's training in a folder of its own.

    Args:
        family: one of ``FAMILIES``.
        folder: where it runs.
    """

    def __init__(self, family: str, folder: Path) -> None:
        self.folder = folder
        self.words = ["fit", *COMMON, *FAMILIES[family], "--name", "run"]
        self.processes = PROCESSES.get(family, 1)
        self.context = get_context("forkserver")
        self.context.set_forkserver_preload(["lightning_gen.cli.training", "kills"])

    @property
    def run(self) -> RunDirectory:
        """The run's directory; a training that was killed before its first checkpoint has more."""
        return RunDirectory.all_of(self.folder / "logs", "run")[-1]

    def live(self, seconds: float | None) -> bool:
        """Go on, and be killed after ``seconds``; whether it ended before."""
        begun = (self.folder / "logs").exists() and self.run.resumable
        words = [*self.words, *(("--ckpt_path", "last") if begun else ())]
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            port = found.getsockname()[1]
        arguments = [(words, self.folder, i, port, self.processes) for i in range(self.processes)]
        processes = [self.context.Process(target=train, args=each) for each in arguments]
        for process in processes:
            process.start()
        deadline = None if seconds is None else time.monotonic() + seconds
        for process in processes:
            process.join(None if deadline is None else max(0, deadline - time.monotonic()))
        killed = any(process.exitcode is None for process in processes)
        for process in random.sample(processes, len(processes)):
            process.kill()
        for process in processes:
            process.join()
        if not killed and any(process.exitcode for process in processes):
            raise SystemExit((self.folder / "log_0.txt").read_text())
        return not killed

    def result(self) -> dict[str, Any]:
        """All that must not depend on kills."""
        kept = torch.load(self.run.last, weights_only=True)
        callbacks = kept["callbacks"]
        return {
            "weights": kept["state_dict"],
            "weights behind an average": kept.get("current_model_state"),
            "optimizers": kept["optimizer_states"],
            "schedulers": kept["lr_schedulers"],
            "random state": callbacks["RandomState"],
            "metrics.csv": self.run.metrics.read_text(),
        }


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
    Training(family, new(folder / "warm")).live(None)  # the first process of all takes longer
    start = time.monotonic()
    undisturbed = Training(family, new(folder / "whole"))
    undisturbed.live(None)
    seconds = time.monotonic() - start
    expected = undisturbed.result()
    found: dict[str, Any] = {"kills": 0, "survived": 0, "trainings": 0, "differences": []}
    while found["kills"] < kills:
        training = Training(family, new(folder / f"killed_{found['trainings']}"))
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
        found["trainings"] += 1
        if differences:
            found["differences"].append({"training": found["trainings"], "differ": differences})
        else:
            found["survived"] += had
            shutil.rmtree(training.folder)
    return found


def new(folder: Path) -> Path:
    """A folder with the images that a training reads."""
    folder.mkdir()
    images = folder.parent / "images"
    if not images.is_dir():
        images.mkdir()
        for number, image in enumerate(MiniFashionMNIST().load_test().images[:80, 0]):  # type: ignore[attr-defined]
            Image.fromarray(image.numpy()).save(images / f"{number:03}.png")
    (folder / "images").symlink_to(images)
    return folder


def main() -> None:
    """Measure each family, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=100, help="of all families together")
    parser.add_argument("--families", nargs="+", default=list(FAMILIES), choices=list(FAMILIES))
    parser.add_argument("--seed", type=int, default=0, help="of the times of the kills")
    parser.add_argument("--keep", type=Path, help="an empty folder for what the trainings leave")
    parser.add_argument("--json", type=Path, help="file for the results")
    args = parser.parse_args()
    random.seed(args.seed)
    results: dict[str, Any] = {"machine": describe_machine()}
    with contextlib.ExitStack() as stack:
        folder = args.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder = folder.resolve()
        for number, family in enumerate(args.families):
            share = args.kills // len(args.families) + (number < args.kills % len(args.families))
            place = folder / family.replace(", ", "_").replace(" ", "_")
            place.mkdir(parents=True)
            results[family] = measure(family, share, place)
            print(family, results[family], flush=True)
    write_json(args.json, results)


if __name__ == "__main__":
    sys.exit(main())
