"""``lightning-gen fit`` in this process, with a clock in it."""

import io
import logging
import tempfile
import time
import warnings
from collections.abc import Sequence
from contextlib import redirect_stdout
from typing import NamedTuple
from unittest.mock import patch

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from lightning_gen import cli
from lightning_gen.cli.training_cli import TrainingCLI

COMPILE = ("--trainer.compile", "true")
"""What compiles the model of a fit, where it has such an option."""


class Epoch(NamedTuple):
    """Seconds of an epoch of a fit."""

    batches: float
    """From its start to the end of its last training batch."""
    others: float
    """The rest: validation, checkpoints, pictures."""


class Clock(Callback):
    """Times the epochs of a fit; on a GPU it waits for the last batch, and for no other."""

    def __init__(self) -> None:
        self.epochs: list[Epoch] = []
        self.full_epoch = 0

    def over(self, trainer: Trainer, model: LightningModule) -> None:
        """What else to do after an epoch; its time is nobody's."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Ask how many batches an epoch would have without a limit."""
        self.full_epoch = len(trainer.train_dataloader)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        self.started = now()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: object, batch: object, i: int
    ) -> None:
        """Note the end of the last batch."""
        if i + 1 >= trainer.num_training_batches:
            self.trained = now()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """After validation, checkpoints and pictures."""
        ended = now()
        self.epochs.append(Epoch(self.trained - self.started, ended - self.trained))
        self.over(trainer, pl_module)


class Terminal(io.StringIO):
    """Takes a progress bar and shows it to nobody."""

    def isatty(self) -> bool:
        """Yes."""
        return True


def now() -> float:
    """Seconds, after all that a GPU was asked to do."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def fit(words: Sequence[str], *callbacks: Callback, finish: bool = False) -> float:
    """Run ``lightning-gen fit WORDS`` with all that it does by default; the seconds that it took.

    The progress bar is drawn for a terminal that nobody sees, the run is written into a folder that
    is removed.

    Args:
        words: of the command.
        callbacks: what is added to those of the run, after them.
        finish: with what stands after the training, the test among it.
    """
    hooks = {"before_fit": lambda cli: cli.trainer.callbacks.extend(callbacks)}
    if not finish:
        hooks["after_fit"] = lambda cli: None
    warnings.filterwarnings("ignore", message=".*does not have many workers")
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        command = ["fit", *words, "--trainer.default_root_dir", folder]
        with patch.multiple(TrainingCLI, **hooks), redirect_stdout(Terminal()):
            started = now()
            code = cli.main(command)
            seconds = now() - started
    if code:
        raise SystemExit(code)
    return seconds
