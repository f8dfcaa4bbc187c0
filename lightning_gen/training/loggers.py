"""Loggers: where they write, and what becomes of them where no server can be reached."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from jsonargparse import Namespace
from lightning.pytorch.loggers import Logger, WandbLogger
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn

from lightning_gen._compat import go_offline
from lightning_gen.training.directory import RunDirectory


def point_logger(logger: Namespace, directory: RunDirectory) -> None:
    """Let a logger write into the run's directory unless its YAML names another place.

    The path is absolute: the process that W&B starts may stand in another folder. What goes on here
    goes on in W&B too.
    """
    arguments = logger.init_args
    if "save_dir" in arguments and arguments.save_dir in (None, "."):
        arguments.save_dir = str(directory.path.resolve())
    if logger.class_path.endswith("TensorBoardLogger"):
        arguments.default_hp_metric = False  # it would be -1, of no quantity
    if logger.class_path.endswith("WandbLogger") and arguments.name is None:
        arguments.name = f"{directory.path.parent.name}/{directory.path.name}"
        known = [start["wandb_run"] for start in directory.starts if start.get("wandb_run")]
        if known and arguments.id is None:
            arguments.id = known[-1]


def open_or_go_offline(loggers: list[Any]) -> None:
    """Begin the W&B run; where its server cannot be reached, on this machine alone.

    Training goes on where the process of W&B ends, with a warning: some clusters send SIGTERM to
    every process of a job, and W&B's ends before the training's own has saved.
    """
    for logger in loggers:
        if isinstance(logger, WandbLogger):
            logger.log_metrics = tolerant(logger.log_metrics)  # type: ignore[method-assign]
            import wandb  # here and below: it takes half a second that other runs need not wait

            try:
                _ = logger.experiment
            except wandb.Error as error:
                reason = " ".join(str(error).split())[:150]
                rank_zero_info(
                    f"W&B cannot be reached ({reason}): the run is kept offline, in "
                    f"{logger.save_dir}/wandb. Send it later with `wandb sync`."
                )
                go_offline(logger)
                _ = logger.experiment


def tolerant(log: Callable[..., None]) -> Callable[..., None]:
    """``log`` without the error of a lost connection."""

    def log_or_warn(*arguments: Any, **options: Any) -> None:  # noqa: ANN401
        try:
            log(*arguments, **options)
        except ConnectionError:
            rank_zero_warn("W&B's process has ended: only metrics.csv gets what is logged now.")

    return log_or_warn


def finish(loggers: list[Logger], *, failed: bool) -> None:
    """End the W&B run, so that the next training of this process has its own."""
    if not any(isinstance(logger, WandbLogger) for logger in loggers):
        return
    import wandb

    if wandb.run is None:
        return
    try:
        wandb.finish(exit_code=int(failed))
    except ConnectionError:  # its process has ended
        with suppress(ConnectionError):
            wandb.teardown()
