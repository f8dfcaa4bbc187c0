"""``lightning-gen fit`` in this process, its epochs timed."""

import io
import logging
import tempfile
import time
import warnings
from collections.abc import Sequence
from contextlib import redirect_stdout
from typing import Any
from unittest.mock import patch

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from lightning_gen import cli
from lightning_gen.training import fit as fitting
from lightning_gen.training.default_callbacks import complete_callbacks


class Clock(Callback):
    """Times the training batches of each epoch; on a GPU it waits for the last, and for no other.

    Attributes:
        epochs: seconds from the start of an epoch to the end of its last training batch.
    """

    def __init__(self) -> None:
        self.epochs: list[float] = []

    def over(self, trainer: Trainer, model: LightningModule) -> None:
        """What is run after an epoch and not counted as its time."""

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        self.started = now()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: object, batch: object, i: int
    ) -> None:
        """Note the end of the last batch."""
        if i + 1 == trainer.num_training_batches:
            self.epochs.append(now() - self.started)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """After validation, checkpoints and pictures."""
        self.over(trainer, pl_module)


class Terminal(io.StringIO):
    """A terminal whose progress bar nobody sees."""

    def isatty(self) -> bool:
        """Yes."""
        return True


def now() -> float:
    """Seconds, after all that a GPU was asked to do."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def fit(words: Sequence[str], *callbacks: Callback) -> None:
    """Run ``lightning-gen fit WORDS`` as it is by default but for the test, with more callbacks."""

    def extended(*given: Any, **options: Any) -> list[Callback]:
        return [*complete_callbacks(*given, **options), *callbacks]

    warnings.filterwarnings("ignore", message=".*does not have many workers")
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        options = ["--trainer.default_root_dir", folder, "--test_after_fit", "false"]
        with patch.object(fitting, "complete_callbacks", extended), redirect_stdout(Terminal()):
            code = cli.main(["fit", *words, *options])
    if code:
        raise SystemExit(code)
