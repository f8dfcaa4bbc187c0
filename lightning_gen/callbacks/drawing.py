"""What everything that draws during training shares."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import WeightAveraging
from lightning.pytorch.loggers import TensorBoardLogger, WandbLogger
from lightning.pytorch.utilities import rank_zero_warn

from lightning_gen._compat import holds_average, swap_average
from lightning_gen.atomic import write_png
from lightning_gen.callbacks.going_on import random_state, set_random_state
from lightning_gen.contracts import Batch, Needs, require
from lightning_gen.errors import UserError, check_number
from lightning_gen.figures.style import Pixels
from lightning_gen.pictures import NothingToDrawError
from lightning_gen.pictures.picture import snake_case

LATEST = "_of_latest_weights"
"""Ends the name of a picture that has no average of the weights."""
MOST, MOST_BYTES = 30, 8_000_000
"""Pictures of a kind that a run keeps by default, and their size."""


class Watching(Callback, ABC):
    """Looks at the batches of an evaluation; of several sets of data at those of the first."""

    requires: ClassVar[Needs] = ()
    """The capabilities that the model must have; asked for before training."""

    @abstractmethod
    def look(self, trainer: Trainer, pl_module: LightningModule, batch: Batch, index: int) -> None:
        """Look at a batch, the ``index``-th."""

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Raise a UserError when the model lacks what is looked for."""
        require_for(self, pl_module)

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: object,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Look at the batch, unless it is of a second set of data."""
        if dataloader_idx == 0:
            self.look(trainer, pl_module, batch, batch_idx)


class Drawing(Callback, ABC):
    """Draws at the end of every n-th epoch, after its validation, and at the end of training.

    Drawing changes nothing in training: neither the random state nor the mode of any module. Rank
    zero draws alone, and nothing is drawn in a ``fast_dev_run``. The capabilities in ``requires``
    are asked for before training.

    Args:
        every_n_epochs: training epochs from one picture to the next, of which all are kept. None
            takes 5, or more in a long training, which has at most 30 pictures of a kind.
    """

    requires: ClassVar[Needs] = ()

    def __init__(self, every_n_epochs: int | None = None) -> None:
        if every_n_epochs is not None:
            check_number(f"{type(self).__name__}.every_n_epochs", every_n_epochs, 1)
        self.every_n_epochs = every_n_epochs
        self._drawn_at: dict[str, int] = {}
        self._trained = False

    def names(self) -> Sequence[str]:
        """The pictures that are drawn."""
        return [snake_case(type(self).__name__)]

    def is_due(self, trainer: Trainer, name: str) -> bool:
        """Whether the present epoch ends with a picture."""
        return due(trainer, self.every_n_epochs, usual=5)

    def keeps_all(self, name: str) -> bool:
        """Whether the pictures of a long training are all kept."""
        return self.every_n_epochs is not None

    @abstractmethod
    def draw(self, trainer: Trainer, pl_module: LightningModule, name: str) -> Pixels | None:
        """The picture; None where there is nothing to draw.

        The model is in evaluation mode, under the trainer's precision, without gradients.
        """

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Raise a UserError when the model lacks what this picture shows."""
        require_for(self, pl_module)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget the pictures of an earlier fit."""
        self._drawn_at = {}
        self._trained = False

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note that this run trains, and does not only end what another began."""
        self._trained = True

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw what is due."""
        names = [name for name in self.names() if self.is_due(trainer, name)]
        self.draw_all(trainer, pl_module, names)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw the end of training, unless the last epoch was drawn."""
        self.draw_all(trainer, pl_module, self.names())

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw what a killed run has left out, where nothing was left to train."""
        if trainer.ckpt_path and not self._trained:
            missing = [n for n in self.names() if not picture_path(trainer, n).exists()]
            self.draw_all(trainer, pl_module, missing)

    def draw_all(
        self, trainer: Trainer, pl_module: LightningModule, names: Sequence[str], ending: str = ""
    ) -> None:
        """Publish these pictures, unless they are of this step; ``ending`` is of their names.

        Images that do not suffice for a picture end no training.
        """
        if trainer.fast_dev_run or not trainer.is_global_zero:  # type: ignore[attr-defined]
            return
        step = trainer.global_step
        names = [name for name in names if self._drawn_at.get(name + ending) != step]
        if not names:
            return
        self._drawn_at |= {name + ending: step for name in names}
        with evaluation_mode(trainer, pl_module, latest=ending == LATEST):
            for name in names:
                torch.manual_seed(0)
                try:
                    picture = self.draw(trainer, pl_module, name)
                except NothingToDrawError:
                    continue
                except UserError as error:
                    rank_zero_warn(f"{name} draws nothing: {error}")
                    continue
                if picture is not None:
                    publish(trainer, name + ending, picture, keep_all=self.keeps_all(name))


def due(trainer: Trainer, every_n_epochs: int | None, usual: int) -> bool:
    """Whether the present epoch is an n-th one.

    By default a usual one, but in a long training each as far from the next that 20 to MOST are
    drawn; in one of unknown length twice as far each time that MOST have been.
    """
    epoch, last = trainer.current_epoch + 1, trainer.max_epochs or 0
    every = every_n_epochs or max(usual, last // 20, math.ceil(last / MOST))
    if every_n_epochs is None and last < 1:
        every = usual * 2 ** max(0, math.ceil(math.log2(epoch / (MOST * usual))))
    return epoch % every == 0


def run_directory(trainer: Trainer) -> Path:
    """The directory of the run: that of the first logger which has one, else where Lightning saves.

    Unlike ``trainer.log_dir`` it asks nothing of other processes, so rank zero may call it alone.
    """
    directories = (logger.log_dir for logger in trainer.loggers)
    return Path(next(filter(None, directories), trainer.default_root_dir))


def moment(trainer: Trainer) -> str:
    """What a picture is of: the present step, or the checkpoint where nothing was trained."""
    if trainer.evaluating and trainer.global_step == 0 and trainer.ckpt_path:
        return Path(trainer.ckpt_path).name
    return f"step {trainer.global_step}"


def picture_path(trainer: Trainer, name: str) -> Path:
    """The file of a picture at the present step, or of the present checkpoint."""
    when = moment(trainer)
    file = f"{trainer.global_step:08d}" if when.startswith("step ") else Path(when).stem
    return run_directory(trainer) / "images" / name / f"{file}.png"


def publish(trainer: Trainer, name: str, picture: Pixels, *, keep_all: bool = False) -> None:
    """Write ``images/<name>/<step>.png`` and show the picture as ``images/<name>`` in the loggers.

    Of more than MOST steps, or MOST_BYTES, every second picture goes, unless all are kept. To be
    called on rank zero only. A UserError says that the disk is full.
    """
    step, path = trainer.global_step, picture_path(trainer, name)
    write_png(picture, path)
    kept = sorted(each for each in path.parent.glob("*.png") if each.stem.isdigit())
    size = sum(each.stat().st_size for each in kept)
    if (len(kept) > MOST or size > MOST_BYTES) and not keep_all:
        for each in kept[1:-1:2]:  # the first and the last one stay
            each.unlink(missing_ok=True)
    for logger in trainer.loggers:
        if isinstance(logger, WandbLogger):
            logger.log_image(f"images/{name}", [str(path)], step)
        elif isinstance(logger, TensorBoardLogger):
            logger.experiment.add_image(f"images/{name}", picture, step, dataformats="HWC")


def batches(trainer: Trainer, split: str) -> Iterator[Batch]:
    """The batches of the "validation" or "test" split, where the model is; of several the first."""
    short = "test" if split == "test" else "val"
    limit: int | float = getattr(trainer, f"limit_{short}_batches")
    loader = getattr(trainer, f"{short}_dataloaders")
    if loader is None and trainer.datamodule is not None:  # type: ignore[attr-defined]
        loader = getattr(trainer.datamodule, f"{short}_dataloader")()  # type: ignore[attr-defined]
    if isinstance(loader, list | tuple):
        loader = next(iter(loader), None)
    if loader is None:
        return
    count = limit if isinstance(limit, int) else None  # a loader need not have a length
    if limit not in (count, 1):
        count = int(len(loader) * limit)
    for batch in islice(loader, count):
        yield trainer.strategy.batch_to_device(batch)


def require_for(callback: Any, model: LightningModule) -> None:  # noqa: ANN401
    """Raise a UserError when the model lacks what a callback says that it ``requires``."""
    name = type(callback).__name__
    remedy = f"Remove {name} from trainer.callbacks or choose another model."
    require(model, callback.requires, name, remedy)


@contextmanager
def evaluation_mode(
    trainer: Trainer, model: LightningModule, *, latest: bool = False
) -> Iterator[None]:
    """Evaluation mode, no gradients, the trainer's precision; afterwards all is as it was before.

    That is the mode of each module and the random state of torch, Python and numpy. The model has
    its averaged weights meanwhile, where a callback averages them: the weights that are validated
    and kept; or else its ``latest`` ones.
    """
    modes = [(module, module.training) for module in model.modules()]
    state = random_state()
    model.eval()
    try:
        with (
            nullcontext() if latest else averaged(trainer, model),
            torch.no_grad(),
            trainer.precision_plugin.forward_context(),
        ):
            yield
    finally:
        set_random_state(state)
        for module, mode in modes:
            module.training = mode


@contextmanager
def averaged(trainer: Trainer, model: LightningModule) -> Iterator[None]:
    """The weights and buffers of Lightning's WeightAveraging, such as EMAWeightAveraging."""
    callbacks = averaging(trainer)
    for callback in callbacks:
        swap_average(callback, model)
    try:
        yield
    finally:
        for callback in reversed(callbacks):
            swap_average(callback, model)


def averaging(trainer: Trainer) -> list[WeightAveraging]:
    """The callbacks that hold an average of the weights."""
    found = (each for each in trainer.callbacks if isinstance(each, WeightAveraging))  # type: ignore[attr-defined]
    return [each for each in found if holds_average(each)]
