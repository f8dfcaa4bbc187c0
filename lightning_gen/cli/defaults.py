"""The callbacks that every run has, and the pictures of a run that asks for none."""

from jsonargparse import Namespace
from lightning.pytorch import Callback, LightningDataModule, LightningModule
from lightning.pytorch.callbacks import ModelCheckpoint, ProgressBar

from lightning_gen.callbacks import (
    Arithmetic,
    CodebookUse,
    CollapseMonitor,
    ConditionalSamples,
    Denoising,
    FiniteLoss,
    Interpolation,
    Interruption,
    LatentGrid,
    LatentScatter,
    LossCurves,
    Progress,
    RandomState,
    Reconstructions,
    Resume,
    SameNoise,
    SampleDiversity,
    Samples,
    Traversal,
)
from lightning_gen.cli.loggers import as_list
from lightning_gen.contracts import Infers, able
from lightning_gen.runs import RunDirectory

PICTURES = (
    Reconstructions,
    Denoising,
    Samples,
    ConditionalSamples,
    Interpolation,
    LatentScatter,
    LatentGrid,
    Traversal,
    Arithmetic,
    LossCurves,
    CollapseMonitor,
    CodebookUse,
)


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
    callbacks: list[Callback] = as_list(options.callbacks)
    if draw:
        callbacks += [each for each in pictures(model) if not has(callbacks, type(each))]
    if options.enable_progress_bar is not False and not has(callbacks, ProgressBar):
        callbacks.append(Progress())
    if directory is None:
        return [*callbacks, SameNoise()]
    callbacks += [RandomState(), SameNoise(), FiniteLoss()]  # the noise after the state was kept
    if options.enable_checkpointing is not False:
        callbacks.append(best_and_last(model, data, directory))
        callbacks += [Resume(), Interruption(directory.last)]  # after those that change a step
    return callbacks


def pictures(model: LightningModule) -> list[Callback]:
    """What is drawn and watched by default."""
    found: list[Callback] = [kind() for kind in PICTURES if able(model, kind.requires)]
    if able(model, SampleDiversity.requires) and not isinstance(model, Infers):
        found.append(SampleDiversity())
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


def has(callbacks: list[Callback], kind: type[Callback]) -> bool:
    """Whether one of the callbacks is of this kind."""
    return any(isinstance(callback, kind) for callback in callbacks)
