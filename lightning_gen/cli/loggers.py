"""The loggers that a configuration asks for, sent to the run's directory."""

from typing import Any

import wandb
from jsonargparse import Namespace
from lightning.pytorch.loggers import Logger, WandbLogger

from lightning_gen.runs import RunDirectory


def as_list(value: Any) -> list[Any]:  # noqa: ANN401
    """What stands in ``trainer.logger``, which may be one, several, or a switch."""
    if value is None or isinstance(value, bool):
        return []
    return list(value) if isinstance(value, list | tuple) else [value]


def point_logger(logger: Namespace, directory: RunDirectory) -> None:
    """Let a logger write into the run's directory unless its YAML names another place."""
    arguments = logger.init_args
    if "save_dir" in arguments and arguments.save_dir in (None, "."):
        arguments.save_dir = str(directory.path)
    if logger.class_path.endswith("WandbLogger") and arguments.name is None:
        arguments.name = f"{directory.path.parent.name}/{directory.path.name}"


def finish(loggers: list[Logger], *, failed: bool) -> None:
    """End the W&B run, so that the next training of this process has its own."""
    if wandb.run is not None and any(isinstance(logger, WandbLogger) for logger in loggers):
        wandb.finish(exit_code=int(failed))
