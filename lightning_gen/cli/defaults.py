"""The callbacks that every run has, and the pictures of a run that asks for none."""

from jsonargparse import Namespace
from lightning.pytorch import Callback, LightningDataModule, LightningModule
from lightning.pytorch.callbacks import ModelCheckpoint, ProgressBar

from lightning_gen import callbacks
from lightning_gen.cli.known import members
from lightning_gen.cli.loggers import as_list
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

    Args:
        options: of the trainer.
        model: it is trained.
        data: it is trained on.
        directory: the run's; None where nothing is kept.
        draw: whether the pictures that the model is able to give are drawn, and the samples of a
            model that has no posterior are watched, beside what was asked for.
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
        found.append(best_and_last(model, data, directory))
        found += [callbacks.Resume(), callbacks.Interruption(directory.last)]
    return found


def pictures(model: LightningModule) -> list[Callback]:
    """What is drawn and watched by default."""
    found: list[Callback] = [kind() for kind in PICTURES if able(model, kind.requires)]
    diversity = callbacks.SampleDiversity
    if able(model, diversity.requires) and not isinstance(model, Infers):
        found.append(diversity())
    return found


class BestAndLast(ModelCheckpoint):
    """The checkpoints that every run has, beside those that a user may ask for."""


def best_and_last(
    model: LightningModule, data: LightningDataModule, directory: RunDirectory
) -> BestAndLast:
    """Keeps ``best.ckpt`` and ``last.ckpt``, after every epoch.

    The best is that of the least ``val/loss``, or of what the model calls its ``monitor``; without
    a validation split, or where ``monitor`` is None, it is the latest.
    """
    validates = getattr(data, "val_fraction", 1) > 0
    return BestAndLast(
        directory.checkpoints,
        filename="best",
        monitor=getattr(model, "monitor", "val/loss") if validates else None,
        save_last=True,
        enable_version_counter=False,
    )


def has(found: list[Callback], kind: type[Callback]) -> bool:
    """Whether one of the callbacks is of this kind."""
    return any(isinstance(callback, kind) for callback in found)
