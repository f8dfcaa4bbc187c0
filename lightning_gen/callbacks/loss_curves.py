"""The loss and its parts over the run so far."""

import csv
from pathlib import Path

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.loggers import CSVLogger

from lightning_gen.callbacks.picture import Picture
from lightning_gen.errors import UserError
from lightning_gen.figures import Pixels, loss_curves, to_array


class LossCurves(Picture):
    """Draws the curves of the run's metrics.csv.

    Args:
        every_n_epochs: training epochs from one picture to the next.
    """

    def __init__(self, every_n_epochs: int = 5) -> None:
        super().__init__(every_n_epochs)

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Raise a UserError when no logger writes a metrics.csv."""
        super().setup(trainer, pl_module, stage)
        if stage == "fit" and not trainer.fast_dev_run and not csv_loggers(trainer):  # type: ignore[attr-defined]
            raise UserError(
                "LossCurves draws the run's metrics.csv, and no logger writes one. Add "
                "lightning.pytorch.loggers.CSVLogger to trainer.logger or remove LossCurves "
                "from trainer.callbacks."
            )

    def draw(self, trainer: Trainer, pl_module: LightningModule) -> Pixels | None:
        """A panel for each quantity; None before anything was logged."""
        logger = csv_loggers(trainer)[0]
        logger.save()
        path = Path(logger.log_dir, "metrics.csv")
        if not path.is_file():
            return None
        with path.open(encoding="utf-8") as file:
            return to_array(loss_curves(list(csv.DictReader(file))))


def csv_loggers(trainer: Trainer) -> list[CSVLogger]:
    """The trainer's loggers that write a metrics.csv."""
    return [logger for logger in trainer.loggers if isinstance(logger, CSVLogger)]
