"""What Lightning forgets when a run goes on."""

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import rank_zero_info

from lightning_gen.errors import UserError

Progress = dict[str, dict[str, int]]


class Resume(Callback):
    """Lets a run that goes on do what the uninterrupted one does.

    A checkpoint that was written after the last batch of an epoch is from before that epoch's
    validation. Lightning would skip it, and with it all that hangs on it: the row of ``val/loss``,
    the best checkpoint, schedulers, early stopping. Here the run goes on with the validation.

    A run that early stopping had ended does not train another epoch, unless its patience is now
    longer. Where nothing is left to train, that is said. One that is to go on with another dataset
    is refused: Lightning gives a datamodule the state of its own class alone.
    """

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Keep the patience that is asked for, which a checkpoint overwrites."""
        self._patience = {each: each.patience for each in stoppers(trainer)}
        self._trains = False

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
        """Stop at once where early stopping had stopped, unless it is to be more patient."""
        for stopper, patience in self._patience.items():
            stopper.patience = patience
            if stopper.stopped_epoch and stopper.wait_count < patience:
                stopper.stopped_epoch = 0
            elif stopper.stopped_epoch:
                trainer.should_stop = True
                rank_zero_info(
                    f"Early stopping ended this run after epoch {stopper.stopped_epoch}. To go on, "
                    f"raise the patience of EarlyStopping above {stopper.wait_count}, or leave it "
                    "out."
                )
        self._trains = True

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Say where nothing was left to do."""
        if trainer.ckpt_path and not self._trains:
            rank_zero_info(
                f"The training is over after {trainer.current_epoch} epochs, {trainer.global_step} "
                "steps. To go on, raise trainer.max_epochs or trainer.max_steps."
            )


def stoppers(trainer: Trainer) -> list[EarlyStopping]:
    """The callbacks that end a training early."""
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
    return [callback for callback in callbacks if isinstance(callback, EarlyStopping)]


def validates(trainer: Trainer, epoch: int) -> bool:
    """Whether an epoch, counted from 0, ends with a validation."""
    every = trainer.check_val_every_n_epoch
    return trainer.enable_validation and (every is None or (epoch + 1) % every == 0)
