"""What everything that draws during training shares."""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
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
from lightning_gen.contracts import Batch, Needs, require
from lightning_gen.errors import UserError
from lightning_gen.figures.style import Pixels
from lightning_gen.views.view import View


class Picture(Callback, ABC):
    """Draws at the end of every n-th epoch, after its validation, and at the end of training.

    Pixels changes nothing in training: neither the random state nor the mode of any module. Rank
    zero draws alone, and nothing is drawn in a ``fast_dev_run``.

    Attributes:
        requires: the capabilities that the model must have; asked for before training.
        usual_epochs: training epochs from one picture to the next, unless they are given.

    Args:
        every_n_epochs: training epochs from one picture to the next. None takes those that are
            usual, or more in a long training, which then has about 20 pictures.
    """

    requires: ClassVar[Needs] = ()
    usual_epochs: ClassVar[int] = 1

    def __init__(self, every_n_epochs: int | None = None) -> None:
        if every_n_epochs is not None:
            check_at_least(1, every_n_epochs, f"{type(self).__name__}.every_n_epochs")
        self.every_n_epochs = every_n_epochs
        self._drawn_at: int | None = None
        self._trained = False

    @abstractmethod
    def draw(self, trainer: Trainer, pl_module: LightningModule) -> Pixels | View | None:
        """The picture; None while there is nothing to draw. The title of a view gets the step.

        The model is in evaluation mode, under the trainer's precision, without gradients.
        """

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Raise a UserError when the model lacks what this picture shows."""
        require_for(self, pl_module)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget the pictures of an earlier fit."""
        self._drawn_at = None
        self._trained = False

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note that this run trains, and does not only end what another began."""
        self._trained = True

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw when the epoch is due."""
        if self.is_due(trainer):
            self._draw_once(trainer, pl_module)

    def is_due(self, trainer: Trainer) -> bool:
        """Whether the present epoch ends with a picture."""
        every = self.every_n_epochs or max(self.usual_epochs, (trainer.max_epochs or 0) // 20)
        return (trainer.current_epoch + 1) % every == 0

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw the end of training, unless the last epoch was drawn."""
        self._draw_once(trainer, pl_module)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw what a killed run has left out, where nothing was left to train."""
        drawn = picture_path(trainer, snake_case(type(self).__name__)).exists()
        if trainer.ckpt_path and not self._trained and not drawn:
            self._draw_once(trainer, pl_module)

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,  # noqa: ANN401  (Lightning's)
        batch: Any,  # noqa: ANN401
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Look at the batch, unless it is of a second set of data."""
        if dataloader_idx == 0:
            self.see(pl_module, batch, batch_idx)

    def see(self, pl_module: LightningModule, batch: Batch, batch_idx: int) -> None:
        """Look at a validation batch: keep what the picture needs of it."""
        self.keep(pl_module, batch, batch_idx)

    def keep(self, pl_module: LightningModule, batch: Batch, batch_idx: int) -> bool:
        """Keep what the picture needs of a validation batch; whether it needs another one."""
        return False

    def _draw_once(self, trainer: Trainer, pl_module: LightningModule) -> None:
        step = trainer.global_step
        if trainer.fast_dev_run or not trainer.is_global_zero or step == self._drawn_at:  # type: ignore[attr-defined]
            return
        self._drawn_at = step
        keeps = type(self).keep is not Picture.keep
        if keeps and trainer.ckpt_path and not self._trained and trainer.enable_validation:
            with evaluation_mode(trainer, pl_module):  # the last validation was before it went on
                for number, batch in enumerate(validation_batches(trainer)):
                    if not self.keep(pl_module, batch, number):
                        break
        name = snake_case(type(self).__name__)
        self._show(trainer, pl_module, name, partial(self.draw, trainer, pl_module))

    def _show(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        name: str,
        draw: Callable[[], Pixels | View | None],
    ) -> None:
        """Publish what ``draw`` gives; images that do not suffice for it end no training."""
        with evaluation_mode(trainer, pl_module):
            try:
                picture = draw()
            except UserError as error:
                rank_zero_warn(f"{type(self).__name__} draws nothing: {error}")
                return
        if isinstance(picture, View):
            picture = picture.pixels(f"at step {trainer.global_step}")
        if picture is not None:
            publish(trainer, name, picture)


def run_directory(trainer: Trainer) -> Path:
    """The directory of the run: that of the first logger which has one, else where Lightning saves.

    Unlike ``trainer.log_dir`` it asks nothing of other processes, so rank zero may call it alone.
    """
    directories = (logger.log_dir for logger in trainer.loggers)
    return Path(next(filter(None, directories), trainer.default_root_dir))


def moment(trainer: Trainer) -> str:
    """What a picture is of: the present step, or the checkpoint where nothing was trained."""
    if trainer.testing and trainer.global_step == 0 and trainer.ckpt_path:
        return Path(trainer.ckpt_path).name
    return f"step {trainer.global_step}"


def picture_path(trainer: Trainer, name: str) -> Path:
    """The file of a picture at the present step, or of the present checkpoint."""
    when = moment(trainer)
    file = f"{trainer.global_step:08d}" if when.startswith("step ") else Path(when).stem
    return run_directory(trainer) / "images" / name / f"{file}.png"


def publish(trainer: Trainer, name: str, picture: Pixels) -> None:
    """Write ``images/<name>/<step>.png`` and show the picture as ``images/<name>`` in the loggers.

    To be called on rank zero only. A UserError says that the disk is full.
    """
    step, path = trainer.global_step, picture_path(trainer, name)
    write_png(picture, path)
    for logger in trainer.loggers:
        if isinstance(logger, WandbLogger):
            logger.log_image(f"images/{name}", [str(path)], step)
        elif isinstance(logger, TensorBoardLogger):
            logger.experiment.add_image(f"images/{name}", picture, step, dataformats="HWC")


def validation_batches(trainer: Trainer) -> Iterator[Batch]:
    """The batches of the validation split, on the device as a validation has them."""
    loaders = trainer.val_dataloaders
    if loaders is None and trainer.datamodule is not None:  # type: ignore[attr-defined]
        loaders = trainer.datamodule.val_dataloader()  # type: ignore[attr-defined]
    limit = trainer.limit_val_batches
    count = limit if isinstance(limit, int) else int(len(loaders or ()) * limit)
    for batch in islice(loaders or (), count):
        yield trainer.strategy.batch_to_device(batch)


def require_for(callback: Any, model: LightningModule) -> None:  # noqa: ANN401
    """Raise a UserError when the model lacks what a callback says that it ``requires``."""
    name = type(callback).__name__
    remedy = f"Remove {name} from trainer.callbacks or choose another model."
    require(model, callback.requires, name, remedy)


@contextmanager
def evaluation_mode(trainer: Trainer, model: LightningModule) -> Iterator[None]:
    """Evaluation mode, no gradients, the trainer's precision; afterwards all is as it was before.

    That is the mode of each module and torch's random state, on the CPU and on a CUDA device. The
    model has its averaged weights meanwhile, where a callback averages them: the weights that are
    validated and kept.
    """
    modes = [(module, module.training) for module in model.modules()]
    devices = [model.device] if model.device.type == "cuda" else []
    model.eval()
    try:
        with (
            averaged(trainer, model),
            torch.random.fork_rng(devices, device_type="cuda"),
            torch.no_grad(),
            trainer.precision_plugin.forward_context(),
        ):
            yield
    finally:
        for module, mode in modes:
            module.training = mode


@contextmanager
def averaged(trainer: Trainer, model: LightningModule) -> Iterator[None]:
    """The weights and buffers of Lightning's WeightAveraging, such as EMAWeightAveraging."""
    callbacks = [
        callback
        for callback in trainer.callbacks  # type: ignore[attr-defined]
        if isinstance(callback, WeightAveraging) and holds_average(callback)
    ]
    for callback in callbacks:
        swap_average(callback, model)
    try:
        yield
    finally:
        for callback in reversed(callbacks):
            swap_average(callback, model)


def snake_case(name: str) -> str:
    """``LossCurves`` as ``loss_curves``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def check_at_least(least: int, value: int, name: str) -> None:
    """Raise a UserError when the argument ``name`` is below ``least``."""
    if value < least:
        raise UserError(f"{name} is at least {least}, got {value}. Set it to {least} or more.")
