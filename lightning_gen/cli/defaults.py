"""The callbacks that every run has, and the pictures of a run that asks for none."""

from typing import Any

from jsonargparse import Namespace
from lightning.pytorch import Callback, LightningDataModule, LightningModule
from lightning.pytorch.callbacks import ModelCheckpoint, ProgressBar

from lightning_gen.callbacks import (
    Arithmetic,
    CodebookUse,
    CollapseMonitor,
    ConditionalSamples,
    Denoising,
    Evaluation,
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
) -> list[Callback]:
    """The callbacks of ``trainer.callbacks`` and those that keep a run safe.

    Where ``trainer.callbacks`` is null, or asks for evaluations alone, the pictures that the model
    is able to give are drawn, and the samples of a model that has no posterior are watched.
    """
    asked: Any = options.callbacks
    callbacks: list[Callback] = list(asked) if isinstance(asked, list) else [asked]
    if asked is None:
        callbacks = pictures(model)
    elif callbacks and all(isinstance(callback, Evaluation) for callback in callbacks):
        callbacks += pictures(model)
    if options.enable_progress_bar is not False and not has(callbacks, ProgressBar):
        callbacks.append(Progress())
    if directory is None:
        return [*callbacks, SameNoise()]
    callbacks += [RandomState(), SameNoise(), FiniteLoss()]  # the noise after the state was kept
    if options.enable_checkpointing is not False:
        if not has(callbacks, ModelCheckpoint):
            callbacks.append(best_and_last(model, data, directory))
        callbacks += [Resume(), Interruption(directory.last)]  # after those that change a step
    return callbacks


def pictures(model: LightningModule) -> list[Callback]:
    """What is drawn and watched by default."""
    found: list[Callback] = [kind() for kind in PICTURES if able(model, kind.requires)]
    if able(model, SampleDiversity.requires) and not isinstance(model, Infers):
        found.append(SampleDiversity())
    return found


def best_and_last(
    model: LightningModule, data: LightningDataModule, directory: RunDirectory
) -> ModelCheckpoint:
    """Keeps ``best.ckpt`` and ``last.ckpt``, after every epoch.

    The best is that of the least ``val/loss``, or of what the model calls its ``monitor``; without
    a validation split, or where ``monitor`` is None, it is the latest.
    """
    validates = getattr(data, "val_fraction", 1) > 0
    return ModelCheckpoint(
        directory.checkpoints,
        filename="best",
        monitor=getattr(model, "monitor", "val/loss") if validates else None,
        save_last=True,
        enable_version_counter=False,
    )


def has(callbacks: list[Callback], kind: type[Callback]) -> bool:
    """Whether one of the callbacks is of this kind."""
    return any(isinstance(callback, kind) for callback in callbacks)
