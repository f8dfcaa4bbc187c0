"""Training in a run directory: what the command's ``fit`` and Python's have in common."""

import errno
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback, LightningDataModule, LightningModule, Trainer
from lightning.pytorch.callbacks import BatchSizeFinder, WeightAveraging
from lightning.pytorch.utilities import rank_zero_info

from lightning_gen._compat import forget_average, is_restoring
from lightning_gen.errors import BadArgumentsError, InterruptionError, UserError
from lightning_gen.pictures import Picture
from lightning_gen.priors import Prior
from lightning_gen.training.default_callbacks import BestAndLast, complete_callbacks
from lightning_gen.training.described import require_info
from lightning_gen.training.directory import LAST, RunDirectory
from lightning_gen.training.fitted_prior import fit_after_training
from lightning_gen.training.metrics_file import RunLogger
from lightning_gen.training.record import RecordRun, report_evaluation
from lightning_gen.training.trainer import RunTrainer, as_list
from lightning_gen.training.wandb import begin_wandb, finish, keep_in_wandb

NOT_WRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT)
"""What the system says of a folder that takes no file."""


def make_trainer(
    options: Mapping[str, Any],
    model: LightningModule,
    data: LightningDataModule,
    record: RecordRun | None = None,
    pictures: Sequence[Picture] = (),
    *,
    draw: bool = False,
) -> RunTrainer:
    """The trainer of these options, with the callbacks and loggers that every run has.

    It draws the ``pictures``, and to ``draw`` adds the default ones. Without a ``record`` nothing
    is kept. A UserError says that an option cannot be used.
    """
    directory = record.directory if record else None
    callbacks = complete_callbacks(options, model, data, directory, pictures, draw=draw)
    loggers: list[Any] = []
    if record is not None:
        loggers = [RunLogger(record.directory), *as_list(options.get("logger"))]
        callbacks += [*begin_wandb(loggers, record.directory, model, data), record]
    try:
        return RunTrainer(**{**options, "callbacks": callbacks, "logger": loggers})
    except UserError:
        raise
    except (MisconfigurationException, ValueError, TypeError, ImportError, AssertionError) as error:
        raise UserError(f"trainer: {error or 'an option is of another type'}") from error


def train(
    trainer: Trainer,
    model: LightningModule,
    data: LightningDataModule,
    directory: RunDirectory | None,
    ckpt_path: str | None,
    *,
    test: bool,
    prior: Prior | None = None,
) -> str | None:
    """Say what is trained, train, test the best checkpoint, and say where everything is.

    Before the test a ``prior`` is fitted to the codes of the training images.

    Returns the path of the best checkpoint, None where none was saved.
    """
    parameters = sum(p.numel() for p in model.parameters())
    shape = "x".join(str(n) for n in require_info(data).image_shape)
    rank_zero_info(
        f"{type(model).__name__} of {parameters:,} parameters on {type(data).__name__} ({shape})"
        f"{f', run {directory.path}' if directory else ''}"
    )
    if prior is not None:
        trainer.fits_prior = True  # type: ignore[attr-defined]
    trainer.fit(model, datamodule=data, ckpt_path=ckpt_path, weights_only=True)
    best = best_checkpoint(trainer)
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
    for callback in [*callbacks]:
        if isinstance(callback, WeightAveraging):
            forget_average(callback)  # it would load the last step's weights beside best's
        elif isinstance(callback, BatchSizeFinder):
            callbacks.remove(callback)  # it would look for another size of the batches
    if prior is not None:
        model = fit_after_training(trainer, model, prior, directory, best)
    if test and type(model).test_step is LightningModule.test_step:
        rank_zero_info(f"{type(model).__name__} has no test_step: nothing is tested")
    elif test:
        trainer.test(model, data, ckpt_path=best, verbose=False)
        report_evaluation(trainer, directory, best)
    if directory is not None:
        keep_in_wandb(trainer, directory)
        if directory.images.is_dir():
            rank_zero_info(f"Pictures    {directory.images}")
        rank_zero_info(f"Metrics     {directory.metrics}")
        rank_zero_info(f"Checkpoint  {best or 'none was saved'}")
    return best


@contextmanager
def supervised(trainer: Trainer) -> Iterator[None]:
    """Within, a fault that the user can put right is a UserError; at its end W&B's run ends too."""
    failed = True
    try:
        with user_faults(trainer):
            yield
        failed = False
    finally:
        finish(trainer.loggers, failed=failed)


@contextmanager
def user_faults(trainer: Trainer) -> Iterator[None]:
    """Within, what the user can put right becomes a UserError or a BadArgumentsError."""
    try:
        yield
    except (InterruptionError, MisconfigurationException):
        raise
    except UserError as error:
        if trainer.global_step == 0:  # nothing was lost: the data or the arguments
            raise BadArgumentsError(str(error)) from error
        raise
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.EEXIST, errno.ENOTDIR):
            remedy = (
                "It was taken away or replaced while it was needed: put it right or begin anew."
            )
        elif error.errno in NOT_WRITABLE:
            remedy = "Make room there, or change its permissions; a new run goes to a folder of "
            remedy += "your own with --trainer.default_root_dir."
        else:
            raise
        raise UserError(f"{error}. {remedy}") from error
    except Exception as error:
        if not is_restoring(trainer):
            raise
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise BadArgumentsError(
            f"{trainer.ckpt_path} cannot be restored ({reason}). Pass another checkpoint of the "
            "run."
        ) from error


def best_checkpoint(trainer: Trainer) -> str | None:
    """Path of the best checkpoint of this training; None where none was saved."""
    kept = [each for each in trainer.checkpoint_callbacks if isinstance(each, BestAndLast)]
    there = ((c.best_model_path, c.last_model_path, f"{c.dirpath}/{LAST}") for c in kept)
    path = next((path for path in map(Path, chain(*there)) if path.is_file()), None)
    if path is None:
        return None
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
