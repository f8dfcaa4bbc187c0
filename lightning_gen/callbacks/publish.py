"""Where a picture goes: a PNG in the run directory, and every logger that takes pictures."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from lightning.pytorch import Trainer
from lightning.pytorch.loggers import TensorBoardLogger, WandbLogger
from PIL import Image

from lightning_gen.callbacks import artist
from lightning_gen.callbacks.drawing import Drawing


def run_directory(trainer: Trainer) -> Path:
    """The directory of the run: that of the first logger which has one, else where Lightning saves.

    Unlike ``trainer.log_dir`` it asks nothing of other processes, so rank zero may call it alone.
    """
    directories = (logger.log_dir for logger in trainer.loggers)
    return Path(next(filter(None, directories), trainer.default_root_dir))


def publish(
    trainer: Trainer, name: str, drawing: Drawing, otherwise: Callable[[str], None]
) -> None:
    """Write ``images/<name>/<step>.png`` and show the picture as ``images/<name>`` in the loggers.

    To be called on rank zero only. The command draws beside the training: the picture is there
    later.

    Args:
        trainer: whose run it is.
        name: of the picture.
        drawing: makes it.
        otherwise: is told what a UserError of the drawing says.
    """
    step = trainer.global_step
    path = run_directory(trainer) / "images" / name / f"{step:08d}.png"

    def then(reason: str | None) -> None:
        if reason is None:
            show(trainer, name, path, step)
        else:
            otherwise(reason)

    artist.current.draw(drawing, path, then)


def show(trainer: Trainer, name: str, path: Path, step: int) -> None:
    """Show a PNG as ``images/<name>`` in every logger that takes pictures."""
    for logger in trainer.loggers:
        if isinstance(logger, WandbLogger):
            logger.log_image(f"images/{name}", [str(path)], step)
        elif isinstance(logger, TensorBoardLogger):
            pixels = np.asarray(Image.open(path))
            logger.experiment.add_image(f"images/{name}", pixels, step, dataformats="HWC")
