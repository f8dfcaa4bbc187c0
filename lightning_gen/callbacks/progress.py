"""A progress bar that names the losses and their unit."""

import sys
import time
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import TQDMProgressBar

SECONDS_BETWEEN_LINES = 60.0
SHOWN = {
    "loss": ("train/loss", "{:.1f} nats"),
    "val": ("val/loss", "{:.1f} nats"),
    "discriminator": ("train/discriminator_loss", "{:.3f}"),
    "generator": ("train/generator_loss", "{:.3f}"),
    "diversity": ("samples/diversity", "{:.2f}"),
}
"""What is shown under which name, where the model logs it."""


class Progress(TQDMProgressBar):
    """The losses beside a bar, in nats per image; those of a GAN have no unit.

    Where the output is no terminal (a log file, CI) there is no bar: one line is printed at the end
    of each epoch, and one a minute in a long epoch. Epochs count from 0, as in metrics.csv.

    Args:
        refresh_rate: batches from one refresh of the bar to the next; each costs a wait for the
            device.
    """

    def __init__(self, refresh_rate: int = 20) -> None:
        self._lines = not sys.stdout.isatty()
        self._last_line = time.monotonic()
        super().__init__(0 if self._lines else refresh_rate)

    def get_metrics(
        self, trainer: Trainer, pl_module: LightningModule
    ) -> dict[str, int | str | float | dict[str, float]]:
        """The losses that were logged so far, in words."""
        logged = trainer.callback_metrics
        return {
            shown: text.format(float(logged[name]))
            for shown, (name, text) in SHOWN.items()
            if name in logged
        }

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        *rest: Any,  # noqa: ANN401  (Lightning's)
    ) -> None:
        """Move the bar, or print a line when the last one is old."""
        super().on_train_batch_end(trainer, pl_module, *rest)
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
            losses = [
                f"{name} {value}" for name, value in self.get_metrics(trainer, pl_module).items()
            ]
            place = [f"epoch {trainer.current_epoch}", f"step {trainer.global_step}"]
            print(", ".join(place + losses), flush=True)
