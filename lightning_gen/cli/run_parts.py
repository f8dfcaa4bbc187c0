"""The callbacks and loggers of a run: those that it asks for, and those that every run has."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from jsonargparse import Namespace
from lightning.pytorch import Callback, LightningDataModule, LightningModule
from lightning.pytorch.callbacks import ModelCheckpoint, ProgressBar
from lightning.pytorch.loggers import Logger, WandbLogger
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn

from lightning_gen import callbacks
from lightning_gen._compat import go_offline
from lightning_gen.cli.known import members
from lightning_gen.cli.trainer import as_list
from lightning_gen.contracts import Infers, able
from lightning_gen.runs import RunDirectory

PICTURES = [kind for kind in members(callbacks) if issubclass(kind, callbacks.Picture)]


def complete_callbacks(
    options: Namespace,
    model: LightningModule,
    data: LightningDataModule,
    directory: RunDirectory | None,
    *,
    draw: bool,
) -> list[Callback]:
    """The callbacks of ``trainer.callbacks``, the default ones and those that keep a run safe.

    To ``draw`` adds the pictures that the model is able to give, and a watch over the samples of a
    model that has no posterior. Without a directory nothing is kept.
    """
    found: list[Callback] = as_list(options.callbacks)
    if draw:
        found += [each for each in pictures(model) if not has(found, type(each))]
    if options.enable_progress_bar is not False and not has(found, ProgressBar):
        found.append(callbacks.Progress())
    if directory is None:
        return [*found, callbacks.SameNoise()]
    # The noise after the state was kept; what saves after what changes a step.
    found += [callbacks.RandomState(), callbacks.SameNoise(), callbacks.FiniteLoss()]
    if options.enable_checkpointing is not False:
        validates = getattr(data, "val_fraction", 1) > 0 and options.limit_val_batches != 0
        found += [BestAndLast(model, directory, validates), callbacks.Resume()]
        found += [callbacks.Interruption(directory.last)]
    return found


def pictures(model: LightningModule) -> list[Callback]:
    """What is drawn and watched by default."""
    found: list[Callback] = [kind() for kind in PICTURES if able(model, kind.requires)]
    diversity = callbacks.SampleDiversity
    if able(model, diversity.requires) and not isinstance(model, Infers):
        found.append(diversity())
    return found


class BestAndLast(ModelCheckpoint):
    """Keeps ``best.ckpt`` and ``last.ckpt``, after every epoch, beside what a user may ask for.

    The best is that of the least ``val/loss``, or of what the model calls its ``monitor``; without
    a validation, or where ``monitor`` is None, it is the latest.
    """

    def __init__(self, model: LightningModule, directory: RunDirectory, validates: bool) -> None:
        super().__init__(
            directory.checkpoints,
            filename="best",
            monitor=getattr(model, "monitor", "val/loss") if validates else None,
            save_last=True,
            enable_version_counter=False,
        )


def has(found: list[Callback], kind: type[Callback]) -> bool:
    """Whether one of the callbacks is of this kind."""
    return any(isinstance(callback, kind) for callback in found)


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
