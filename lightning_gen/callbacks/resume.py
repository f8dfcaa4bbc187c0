"""What Lightning forgets when a run goes on."""

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping
from lightning.pytorch.trainer.states import TrainerFn

from lightning_gen.errors import UserError

Progress = dict[str, dict[str, int]]


class Resume(Callback):
    """Lets a run that goes on do what the uninterrupted one does.

    A checkpoint that was written after the last batch of an epoch is from before that epoch's
    validation. Lightning would skip it, and with it all that hangs on it: the row of ``val/loss``,
    the best checkpoint, schedulers, early stopping. Here the run goes on with the validation.

    A run that early stopping had ended does not train another epoch, and one that is to go on with
    another dataset is refused: Lightning gives a datamodule the state of its own class alone.
    """

    def on_load_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Mark a validation that is due as begun, which Lightning's loops go back to.

        Raises:
            UserError: the training of the checkpoint had another dataset.
        """
        then = checkpoint.get("datamodule_hyper_parameters", {}).get("_class_path", "")
        now = type(trainer.datamodule).__name__  # type: ignore[attr-defined]
        if then and trainer.state.fn == TrainerFn.FITTING and then.split(".")[-1] != now:
            raise UserError(
                f"the checkpoint was trained on {then.split('.')[-1]}, and the data is {now} now. "
                "Go on with the same data, or start a new run."
            )
        loops = checkpoint["loops"]["fit_loop"]
        batches: dict[str, Any] = loops["epoch_loop.batch_progress"]
        total, current = batches["total"], batches["current"]
        saved_in_batch_end = total["completed"] == total["processed"] - 1
        epoch: int = loops["epoch_progress"]["current"]["processed"]
        if saved_in_batch_end and batches["is_last_batch"] and validates(trainer, epoch):
            total["completed"], current["completed"] = total["processed"], current["processed"]
            validation: Progress = loops["epoch_loop.val_loop.batch_progress"]
            validation["total"] |= {"ready": 1, "started": 1, "processed": 0, "completed": 0}
            validation["current"] |= dict.fromkeys(validation["current"], 0)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop at once where early stopping had stopped."""
        if any(
            callback.stopped_epoch
            for callback in trainer.callbacks  # type: ignore[attr-defined]
            if isinstance(callback, EarlyStopping)
        ):
            trainer.should_stop = True


def validates(trainer: Trainer, epoch: int) -> bool:
    """Whether an epoch, counted from 0, ends with a validation."""
    every = trainer.check_val_every_n_epoch
    return trainer.enable_validation and (every is None or (epoch + 1) % every == 0)
