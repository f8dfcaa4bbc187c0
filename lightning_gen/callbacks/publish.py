"""Where a picture goes: a PNG in the run directory, and every logger that takes pictures."""

from pathlib import Path

from lightning.pytorch import Trainer
from lightning.pytorch.loggers import TensorBoardLogger, WandbLogger

from lightning_gen.atomic import write_png
from lightning_gen.figures import Pixels


def run_directory(trainer: Trainer) -> Path:
    """The directory of the run: that of the first logger which has one, else where Lightning saves.

    Unlike ``trainer.log_dir`` it asks nothing of other processes, so rank zero may call it alone.
    """
    directories = (logger.log_dir for logger in trainer.loggers)
    return Path(next(filter(None, directories), trainer.default_root_dir))


def picture_path(trainer: Trainer, name: str) -> Path:
    """The file of a picture at the present step."""
    return run_directory(trainer) / "images" / name / f"{trainer.global_step:08d}.png"


def publish(trainer: Trainer, name: str, picture: Pixels) -> None:
    """Write ``images/<name>/<step>.png`` and show the picture as ``images/<name>`` in the loggers.

    To be called on rank zero only.

    Raises:
        UserError: the disk is full.
    """
    step, path = trainer.global_step, picture_path(trainer, name)
    write_png(picture, path)
    for logger in trainer.loggers:
        if isinstance(logger, WandbLogger):
            logger.log_image(f"images/{name}", [str(path)], step)
        elif isinstance(logger, TensorBoardLogger):
            logger.experiment.add_image(f"images/{name}", picture, step, dataformats="HWC")
