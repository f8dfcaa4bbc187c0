"""The losses of a training: watched, shown beside a bar, and drawn."""

import csv
import math
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint, TQDMProgressBar
from lightning.pytorch.loggers import CSVLogger
from torch import Tensor

from lightning_gen.callbacks.drawing import Drawing
from lightning_gen.errors import UserError
from lightning_gen.figures.curves import loss_curves
from lightning_gen.figures.style import Pixels, to_array
from lightning_gen.quantities import NATS, Quantities, Quantity

SECONDS_BETWEEN_LINES = 60.0


class FiniteLoss(Callback):
    """Raises a UserError when a training loss is NaN or infinite.

    The losses stay on the device, so that no step waits for it. They are looked at every
    ``trainer.log_every_n_steps`` losses (every 50, where nothing is logged), before validation, at
    the end of an epoch, and before a checkpoint is written, so that no checkpoint of a broken run
    replaces a good one. Lightning asks no callback before it writes one of weights only, which can
    therefore be that many losses late.
    """

    def __init__(self) -> None:
        self._losses: list[tuple[int, Tensor]] = []

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget the losses of an earlier fit."""
        self._losses = []

    def on_before_backward(
        self, trainer: Trainer, pl_module: LightningModule, loss: Tensor
    ) -> None:
        """Keep the loss; a model that optimises by hand has several in a step."""
        self._losses.append((trainer.global_step, loss.detach().sum()))

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:  # noqa: ANN401  (Lightning's)
        """Look now and then."""
        if len(self._losses) >= (trainer.log_every_n_steps or 50):  # type: ignore[attr-defined]
            self._check(trainer)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Look before the time of a validation is spent, and at the end of the epoch."""
        self._check(trainer)

    on_train_epoch_end = on_validation_start

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Look before the checkpoint is written."""
        self._check(trainer)

    def _check(self, trainer: Trainer) -> None:
        if not self._losses:
            return
        values = torch.stack([loss for _, loss in self._losses]).tolist()
        for (step, _), value in zip(self._losses, values, strict=True):
            if not math.isfinite(value):
                automatic = trainer.lightning_module.automatic_optimization
                clipping = "trainer.gradient_clip_val" if automatic else "model.clip_norm"
                raise UserError(
                    f"the loss became {value} at step {step} (counted from 0, as in metrics.csv). "
                    f"The last good checkpoint: {last_checkpoint(trainer)}. Lower the learning "
                    f"rate, set {clipping}, or use trainer.precision 32-true."
                )
        self._losses = []


def last_checkpoint(trainer: Trainer) -> str:
    """Path of the newest checkpoint that exists, or words that there is none."""
    callbacks = [c for c in trainer.checkpoint_callbacks if isinstance(c, ModelCheckpoint)]
    paths = [path for c in callbacks for path in (c.last_model_path, c.best_model_path)]
    existing = [path for path in paths if path and Path(path).exists()]
    return max(existing, key=lambda path: Path(path).stat().st_mtime, default="none was saved yet")


class Progress(TQDMProgressBar):
    """The losses beside a bar, in nats per image; those of a GAN have no unit.

    Where the output is no terminal (a log file, CI) there is no bar: one line is printed at the end
    of each epoch, and one a minute in a long epoch, with the losses that were logged since the line
    before. In a notebook each takes the place of that one. Epochs count from 0, as in metrics.csv.

    Args:
        refresh_rate: batches from one refresh of the bar to the next; each costs a wait for the
            device.
    """

    def __init__(self, refresh_rate: int = 20) -> None:
        self._lines = not sys.stdout.isatty()
        self._last_line = time.monotonic()
        self._logged: set[str] = set()
        """Of "train" and "val", what was logged since the last line."""
        super().__init__(0 if self._lines else refresh_rate)

    def get_metrics(
        self, trainer: Trainer, pl_module: LightningModule
    ) -> dict[str, int | str | float | dict[str, float]]:
        """The losses that were logged so far, in words."""
        return {name: text for _, name, text in self._losses(trainer)}

    @staticmethod
    def _losses(trainer: Trainer) -> Iterator[tuple[str, str, str]]:
        """The stage, name and value in words of each loss that was logged so far."""
        known = logged_quantities(trainer)
        for column, value in trainer.callback_metrics.items():
            stage, _, name = column.partition("/")
            quantity = known.of(column)
            if quantity.shown and (stage != "val" or quantity.better) and stage != "test":
                unit = " nats" if quantity.unit == NATS else ""
                text = f"{float(value):.1f}{unit}" if unit else f"{float(value):.3g}"
                short = name.partition("[")[0].removesuffix("_loss")
                yield stage, "val" if column == "val/loss" else short, text

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Remember that there is a loss of validation."""
        super().on_validation_end(trainer, pl_module)
        if not trainer.sanity_checking:
            self._logged.add("val")

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        *rest: Any,  # noqa: ANN401  (Lightning's)
    ) -> None:
        """Move the bar, or print a line when the last one is old."""
        super().on_train_batch_end(trainer, pl_module, *rest)
        every: int = trainer.log_every_n_steps  # type: ignore[attr-defined]
        if every and (trainer.fit_loop.total_batch_idx + 1) % every == 0:
            self._logged.add("train")
        if self._lines and time.monotonic() - self._last_line > SECONDS_BETWEEN_LINES:
            self._print_line(trainer, pl_module)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Show the losses of the epoch."""
        super().on_train_epoch_end(trainer, pl_module)
        if self._lines:
            self._print_line(trainer, pl_module)

    def _print_line(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._last_line = time.monotonic()
        if trainer.is_global_zero:
            old = {"train", "val"} - self._logged
            shown = self._losses(trainer)
            losses = [f"{name} {text}" for stage, name, text in shown if stage not in old]
            place = [f"epoch {trainer.current_epoch}", f"step {trainer.global_step}"]
            over = "\r" if "ipykernel" in sys.modules else ""
            print(over + ", ".join(place + losses), end=" " if over else "\n", flush=True)
        self._logged.clear()


def logged_quantities(trainer: Trainer) -> Quantities:
    """What the model and the callbacks of a trainer log."""
    found = Quantities(loss=Quantity(better="lower", basis="loss", shown=True))
    for part in (trainer.lightning_module, *trainer.callbacks):  # type: ignore[attr-defined]
        found |= getattr(part, "quantities", {})
    return found


class LossCurves(Drawing):
    """Draws the curves of the run's metrics.csv."""

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Raise a UserError when no logger writes a metrics.csv."""
        super().setup(trainer, pl_module, stage)
        if stage == "fit" and not trainer.fast_dev_run and not csv_loggers(trainer):  # type: ignore[attr-defined]
            raise UserError(
                "LossCurves draws the run's metrics.csv, and no logger writes one. Add "
                "lightning.pytorch.loggers.CSVLogger to trainer.logger or remove LossCurves "
                "from trainer.callbacks."
            )

    def draw(self, trainer: Trainer, pl_module: LightningModule, name: str) -> Pixels | None:
        """A panel for each quantity; None before anything was logged."""
        logger = csv_loggers(trainer)[0]
        logger.save()
        path = Path(logger.log_dir, "metrics.csv")
        if not path.is_file():
            return None
        with path.open(encoding="utf-8") as file:
            return to_array(loss_curves([*csv.DictReader(file)], logged_quantities(trainer)))


def csv_loggers(trainer: Trainer) -> list[CSVLogger]:
    """The trainer's loggers that write a metrics.csv."""
    return [logger for logger in trainer.loggers if isinstance(logger, CSVLogger)]
