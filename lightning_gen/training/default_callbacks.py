"""The callbacks of a run: those that it asks for, and those that every run has."""

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from lightning.pytorch import Callback, LightningDataModule, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint, ProgressBar
from lightning.pytorch.trainer.states import TrainerFn

from lightning_gen import callbacks, features, pictures
from lightning_gen._compat import ends_within_epoch, within_epoch
from lightning_gen.contracts import Infers, SamplesImages, able
from lightning_gen.data import MNIST, FashionMNIST, MiniFashionMNIST
from lightning_gen.parts import buildable
from lightning_gen.training.directory import LAST, RunDirectory
from lightning_gen.training.trainer import as_list

PICTURES = [kind for kind in buildable(pictures) if issubclass(kind, pictures.Picture)]
JUDGES = (
    ((FashionMNIST, MiniFashionMNIST), features.FashionMNISTClassifier),
    (MNIST, features.MNISTClassifier),
)
"""Datasets, and the classifier of their images that the package has."""
CHARTS = [
    kind
    for kind in buildable(callbacks)
    if issubclass(kind, callbacks.Drawing) and kind is not callbacks.Draw
]


def complete_callbacks(
    options: Mapping[str, Any],
    model: LightningModule,
    data: LightningDataModule,
    directory: RunDirectory | None,
    shown: Sequence[pictures.Picture],
    *,
    draw: bool,
) -> list[Callback]:
    """The callbacks of ``trainer.callbacks``, the default ones and those that keep a run safe.

    What is to be ``shown`` is drawn. To ``draw`` adds the pictures and charts that the model is
    able to give, and a watch over the samples of a model that has no posterior. Samples are scored
    where nothing else tells the epochs apart. Without a directory nothing is kept.
    """
    found: list[Callback] = as_list(options.get("callbacks"))
    drawn: list[pictures.Picture] = [*shown]
    if draw:
        own = [c for c in found if isinstance(c, callbacks.Draw)]
        given = {*(type(each) for each in chain(drawn, *(c.pictures.values() for c in own)))}
        drawn += [each for each in default_pictures(model) if type(each) not in given]
        found += [each for each in default_charts(model) if not has(found, type(each))]
    if not has(found, callbacks.FrechetMonitor):
        found += default_monitor(model, data)
    if drawn:
        found.append(callbacks.Draw(drawn))
    if options.get("enable_progress_bar") is not False and not has(found, ProgressBar):
        found.append(callbacks.Progress())
    if directory is None:
        return [*found, callbacks.SameNoise()]
    if options.get("enable_checkpointing") is False:
        more = steady()
    else:
        validates = options.get("limit_val_batches") != 0
        more = safe(model, data, directory, monitor_of(model, found), validates=validates)
    kinds = {type(each) for each in more}  # which default_callbacks gives, too
    return [*(each for each in found if type(each) not in kinds), *more]


def default_callbacks(model: LightningModule, data: LightningDataModule) -> list[Callback]:
    """What :func:`lightning_gen.fit` adds to a run, for a Trainer of one's own.

    The pictures that the model is able to give, the best and the last checkpoint, exact resume
    (``trainer.fit(..., ckpt_path=..., weights_only=True)``), and saving when a signal ends the
    run. They write where the Trainer's logger writes, which has its own curves.
    """
    charts = [each for each in default_charts(model) if not isinstance(each, callbacks.LossCurves)]
    charts += default_monitor(model, data)
    drawn = callbacks.Draw(default_pictures(model))
    monitor = monitor_of(model, charts)
    return [drawn, *charts, *safe(model, data, None, monitor, validates=True)]


def safe(
    model: LightningModule,
    data: LightningDataModule,
    directory: RunDirectory | None,
    monitor: str | None,
    *,
    validates: bool,
) -> list[Callback]:
    """What keeps a run safe; without a directory where the Trainer's logger writes."""
    validates = validates and getattr(data, "val_fraction", 1) > 0
    return [
        *steady(),
        BestAndLast(directory, monitor if validates else None),
        callbacks.Resume(),
        callbacks.Interruption(directory.last if directory else None),
    ]


def steady() -> list[Callback]:
    """What makes a run repeatable: the noise comes after the state was kept."""
    return [callbacks.RandomState(), callbacks.SameNoise(), callbacks.FiniteLoss()]


def default_pictures(model: LightningModule) -> list[pictures.Picture]:
    """The pictures that a model is able to give."""
    return [kind() for kind in PICTURES if able(model, kind.requires)]


def default_charts(model: LightningModule) -> list[Callback]:
    """What is measured and drawn by default, and a watch over samples."""
    watches = callbacks.SampleDiversity, callbacks.DenoisingQuality, callbacks.Stability
    kinds: list[Any] = [*CHARTS, *watches]
    if able(model, (Infers,)):
        kinds.remove(callbacks.SampleDiversity)
    return [kind() for kind in kinds if able(model, kind.requires)]


def default_monitor(
    model: LightningModule, data: LightningDataModule
) -> list[callbacks.FrechetMonitor]:
    """What tells the epochs of a model apart that has no loss to do so, where the data has a judge.

    A judge is a classifier of the same images that the package has.
    """
    draws = able(model, (SamplesImages,)) and getattr(model, "monitor", "val/loss") is None
    fits = [judge for kinds, judge in JUDGES if isinstance(data, kinds)] if draws else []
    return [callbacks.FrechetMonitor(judge()) for judge in fits]


def monitor_of(model: LightningModule, found: Sequence[Callback]) -> str | None:
    """The metric of which the least makes ``best.ckpt``; None keeps the latest.

    It is what the model calls its ``monitor``, or that of a ``FrechetMonitor``.
    """
    own: str | None = getattr(model, "monitor", "val/loss")
    watches = (each for each in found if isinstance(each, callbacks.FrechetMonitor))
    return own or next((f"val/{watch.monitored}" for watch in watches), None)


class BestAndLast(ModelCheckpoint):
    """Keeps ``best.ckpt`` and ``last.ckpt``, beside what a user may ask for.

    The best is that of the least ``monitor``; where that is None, it is the latest. The last is
    that of every epoch's end, of a validation within an epoch, and of the step within an epoch that
    is to be the last.
    """

    def __init__(self, directory: RunDirectory | None, monitor: str | None) -> None:
        super().__init__(
            directory.checkpoints if directory else None,
            filename="best",
            monitor=monitor,
            enable_version_counter=False,
        )

    def on_train_batch_end(self, trainer: Trainer, *rest: Any) -> None:  # noqa: ANN401
        """Save where the training ends here: Lightning goes on from there, and not after it."""
        super().on_train_batch_end(trainer, *rest)
        if ends_within_epoch(trainer):
            self._save_last(trainer)

    def on_train_epoch_end(self, trainer: Trainer, *rest: Any) -> None:  # noqa: ANN401
        """Save the best, where it is, and the last one of a whole epoch."""
        super().on_train_epoch_end(trainer, *rest)
        if not within_epoch(trainer):
            self._save_last(trainer)

    def on_validation_end(self, trainer: Trainer, *rest: Any) -> None:  # noqa: ANN401
        """Save the best, where it is, and the last one within an epoch."""
        super().on_validation_end(trainer, *rest)
        trains = trainer.state.fn == TrainerFn.FITTING and not trainer.sanity_checking
        if trains and within_epoch(trainer):
            self._save_last(trainer)

    def _save_last(self, trainer: Trainer) -> None:
        if not trainer.fast_dev_run:  # type: ignore[attr-defined]
            self.last_model_path = f"{self.dirpath}/{LAST}"
            trainer.save_checkpoint(self.last_model_path, weights_only=False)


def has(found: list[Callback], kind: type[Callback]) -> bool:
    """Whether one of the callbacks is of this kind."""
    return any(isinstance(callback, kind) for callback in found)
