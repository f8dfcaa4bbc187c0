"""Private attributes of other libraries that are still needed, a function each.

Their authors promise nothing about them: where one is gone from an installed version, a warning
says what is lost, and the rest goes on.
"""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from jsonargparse import Namespace
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import WeightAveraging
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.strategies import DDPStrategy

MISSING = object()


def private(owner: Any, path: str, loss: str) -> Any:  # noqa: ANN401  (whatever it is)
    """The attribute ``path`` of an object or module; ``MISSING``, with a warning, where it is gone.

    A path is names with dots; ``loss`` is what does not work without it, for the warning.
    """
    found = owner
    for name in path.split("."):
        found = getattr(found, name, MISSING)
        if found is MISSING:
            kind = owner if hasattr(owner, "__name__") else type(owner)
            warnings.warn(f"{kind.__name__}.{path} is gone: {loss}.", stacklevel=3)
            return MISSING
    return found


def import_object(path: str) -> Any:  # noqa: ANN401  (whatever has this name)
    """What has a dotted name, by jsonargparse's rule of what may be imported.

    Else an ImportError (it is forbidden, there is no such module, or the rule cannot be asked),
    AttributeError (there is nothing of this name) or ValueError (it is no name).
    """
    from jsonargparse import _util

    imported = private(_util, "import_object", "no class can be named in a file")
    if imported is MISSING:
        raise ImportError(f"{path} cannot be imported with this version of jsonargparse")
    return imported(path)


@contextmanager
def parsing_settings_kept() -> Iterator[None]:
    """Afterwards jsonargparse's settings, which are the whole process's, are as they were."""
    from jsonargparse import _common

    settings = private(_common, "parsing_settings", "the settings of parsers stay changed")
    before = {} if settings is MISSING else settings.copy()
    try:
        yield
    finally:
        if settings is not MISSING:
            settings.update(before)


@contextmanager
def classes_from_their_defaults(note: Callable[[str, str, dict[str, Any]], None]) -> Iterator[None]:
    """Within, another class at a key has its own defaults; jsonargparse keeps what has a like name.

    ``note`` is told the class that was there, the new one and the arguments that were dropped.
    """
    from jsonargparse import _typehints

    name = "discard_init_args_on_class_path_change"
    original = private(_typehints, name, "another class at a key keeps arguments of the first")
    if original is MISSING:
        yield
        return

    def discard_all(_: object, before: Any, now: Any) -> None:  # noqa: ANN401  (jsonargparse's)
        if before and "init_args" in before and before["class_path"] != now["class_path"]:
            arguments = before["init_args"] or {}
            dropped = vars(arguments) if isinstance(arguments, Namespace) else arguments
            note(before["class_path"], now["class_path"], dict(dropped))
            before["init_args"] = Namespace()  # type: ignore[no-untyped-call]

    setattr(_typehints, name, discard_all)
    try:
        yield
    finally:
        setattr(_typehints, name, original)


def forget_logged(trainer: Trainer, start: str) -> None:
    """Let the trainer forget what a training step has logged before under names with this start.

    It would log it again, as of the present step, where the step has no such value.
    """
    results = private(trainer, "_results", "a term that few steps have is logged by others, too")
    if isinstance(results, dict):
        for name in [key for key in results if key.startswith(f"training_step.{start}")]:
            del results[name]


def holds_average(callback: WeightAveraging) -> bool:
    """Whether a callback holds an average of a model in training."""
    average = private(callback, "_average_model", "pictures are of the weights of the last step")
    return average is not MISSING and average is not None


def swap_average(callback: WeightAveraging, model: LightningModule) -> None:
    """Exchange a model's weights and their average."""
    swap = private(callback, "_swap_models", "pictures are of the weights of the last step")
    if swap is not MISSING:
        swap(model)


def forget_average(callback: WeightAveraging) -> None:
    """Let a callback hold no average, so that it loads none beside a checkpoint's."""
    if holds_average(callback):
        callback._average_model = None


@contextmanager
def uncounted(optimizer: LightningOptimizer) -> Iterator[None]:
    """Steps within do not count in ``trainer.global_step``, whose count two hooks keep."""
    names = "_on_before_step", "_on_after_step"
    loss = "a batch counts as several steps"
    hooks = {name: private(optimizer, name, loss) for name in names}
    known = {name: hook for name, hook in hooks.items() if hook is not MISSING}
    for name in known:
        setattr(optimizer, name, _do_nothing)
    try:
        yield
    finally:
        for name, hook in known.items():
            setattr(optimizer, name, hook)


def _do_nothing() -> None:
    """Do nothing."""


def accumulates(trainer: Trainer) -> bool:
    """Whether the gradients of this batch are kept for a later step."""
    ask = private(trainer, "fit_loop._should_accumulate", "half of a step's gradients may be lost")
    return ask is not MISSING and bool(ask())


def within_epoch(trainer: Trainer) -> bool:
    """Whether there are batches left of this epoch of training."""
    last = private(trainer, "fit_loop.epoch_loop.batch_progress.is_last_batch", "last.ckpt is old")
    return last is False


def ends_within_epoch(trainer: Trainer) -> bool:
    """Whether a training ends with this step, and leaves batches of its epoch."""
    able = private(trainer, "fit_loop._can_stop_early", "last.ckpt is from before the last step")
    ends = trainer.global_step == trainer.max_steps or (trainer.should_stop and able is True)
    return ends and within_epoch(trainer)


def begin_next_epoch(trainer: Trainer) -> None:
    """Let a run that goes on at the end of an epoch begin another.

    With ``max_steps`` Lightning counts that epoch twice and leaves out the data of the next.
    """
    loop = trainer.fit_loop
    if private(loop, "restarted_on_epoch_end", "max_steps leaves out an epoch's data") is True:
        loop.epoch_progress.increment_completed()
        loop.epoch_loop.restarting = loop._restarting = False
        loop.reset_restart_stage()


def log_step(trainer: Trainer) -> None:
    """Log what was measured in this step, before Lightning's turn comes."""
    log = private(
        trainer, "_logger_connector.update_train_step_metrics", "the last step's row is missing"
    )
    if log is not MISSING:
        log()


def unlogged(trainer: Trainer) -> tuple[dict[str, Any], int] | None:
    """What Lightning will log only after the checkpoint that is being written, and its step."""
    loss = "a run that goes on may lack the row of its checkpoint"
    connector = private(trainer, "_logger_connector", loss)
    step = private(trainer, "fit_loop.epoch_loop._batches_that_stepped", loss)
    first = private(trainer, "_logger_connector._first_loop_iter", loss)
    if MISSING in (connector, step, first):
        return None
    ending = first is None  # an epoch, and not a batch
    if not (ending or connector.should_update_logs):
        return None
    return dict(connector.metrics["log"]), step - 1 if ending else step


def find_unused_parameters(trainer: Trainer) -> None:
    """Prepare DDP, however it was asked for, for steps that leave gradients out.

    Where a backward pass leaves some parameters without a gradient, as each one of a GAN does, DDP
    waits for them unless it is told to find out which are missing.
    """
    if isinstance(trainer.strategy, DDPStrategy):
        options = private(trainer.strategy, "_ddp_kwargs", "pass ddp_find_unused_parameters_true")
        if options is not MISSING:
            options.setdefault("find_unused_parameters", True)


def is_restoring(trainer: Trainer) -> bool:
    """Whether a checkpoint is being restored."""
    loaded = private(trainer, "_checkpoint_connector._loaded_checkpoint", "its errors are long")
    return loaded is not MISSING and bool(loaded)


def wandb_options(logger: WandbLogger) -> dict[str, Any] | None:
    """The arguments of wandb.init of a logger; None where its run has begun."""
    loss = "a run of W&B has another folder than the run's"
    options = private(logger, "_wandb_init", loss)
    begun = private(logger, "_experiment", loss)
    return None if options is MISSING or begun is not None else dict(options)


def set_wandb_options(logger: WandbLogger, **options: Any) -> None:  # noqa: ANN401  (wandb's)
    """Change arguments of wandb.init of a logger whose run has not begun."""
    known = private(logger, "_wandb_init", "W&B is asked once more")
    if known is not MISSING:
        known |= options
        logger._save_dir, logger._id = known.get("dir"), known.get("id")


def log_used(run: Any, artifact: Any) -> None:  # noqa: ANN401  (wandb has no types)
    """Log an artifact that a W&B run has used, without waiting for a server, offline too.

    ``run.use_artifact`` waits, and refuses offline.
    """
    log = private(run, "_log_artifact", "W&B shows the dataset as made by the run")
    if log is MISSING:
        run.log_artifact(artifact)
    else:
        log(artifact, is_user_created=True, use_after_commit=True)
