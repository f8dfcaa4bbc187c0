"""A run that goes on does what the uninterrupted one does: its random numbers, and what is due."""

import random
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping, WeightAveraging
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import rank_zero_info
from torch import distributed

from lightning_gen._compat import begin_next_epoch
from lightning_gen.errors import UserError

AFTER_WEIGHTS = 982_451_653
State = dict[str, Any]
"""Random states as tensors and plain numbers, which load with ``weights_only=True``."""


class RandomState(Callback):
    """Keeps the random states of torch, Python and numpy in the checkpoint, for every rank.

    Torch's are those of the CPU and of the rank's own CUDA device. A run that goes on with another
    number of ranks restores what it finds by rank; further ranks start from the seed.

    Validation draws numbers of its own: a run that resumes after an epoch's last batch does not
    repeat that epoch's validation, so training must not depend on whether there was one.
    """

    def __init__(self) -> None:
        self._restored: list[State] = []
        self._training: State = {}

    def state_dict(self) -> State:
        """The states of all ranks, which call this at once, as Lightning does on saving."""
        ranks: list[Any] = [self._training or random_state()]
        if distributed.is_available() and distributed.is_initialized():
            [own], ranks = ranks, [None] * distributed.get_world_size()
            distributed.all_gather_object(ranks, own)
        return {"ranks": ranks}

    def load_state_dict(self, state_dict: State) -> None:
        """Keep the states until training starts: setup and the sanity check draw numbers too."""
        self._restored = state_dict["ranks"]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Restore this rank's state in a resumed run; else start from a number of the seed's own.

        Lightning goes back to the seed where there are several processes, and with one goes on
        after the numbers that the weights took. Here all trainings of a seed draw the same.
        """
        if trainer.global_rank < len(self._restored):
            set_random_state(self._restored[trainer.global_rank])
        else:
            torch.manual_seed(torch.initial_seed() + AFTER_WEIGHTS)
        self._restored = []

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keep the state of training apart."""
        self._training = random_state()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Give training its state back."""
        set_random_state(self._training)
        self._training = {}


class SameNoise(Callback):
    """Every evaluation of a split draws the same numbers, such as a VAE's posterior samples.

    Two epochs are then compared on the same noise, and ``test RUN`` gives the loss that the run's
    own test gave. ``RandomState`` gives training its state back.
    """

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start from one seed, which all processes share out (``lightning_gen.noise``)."""
        torch.manual_seed(0)

    on_test_start = on_predict_start = on_validation_start


class Resume(Callback):
    """Lets a run that goes on do what the uninterrupted one does.

    A checkpoint that was written after the last batch of an epoch is from before that epoch's
    validation, or from its middle. Lightning would skip it, or what it has seen of it, and with it
    all that hangs on it: the row of ``val/loss``, the best checkpoint, schedulers, early stopping.
    Here the run goes on with the validation.

    A run that early stopping had ended does not train another epoch, unless its patience is now
    longer. Where nothing is left to train, that is said. One that is to go on with another dataset
    is refused: Lightning gives a datamodule the state of its own class alone.
    """

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Keep the patience that is asked for, which a checkpoint overwrites."""
        callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
        self._patience = {
            each: each.patience for each in callbacks if isinstance(each, EarlyStopping)
        }
        self._trains, self._seen = False, 0

    def on_load_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Mark a validation that is due as begun; a UserError where data or weights are others."""
        averages = any(isinstance(each, WeightAveraging) for each in trainer.callbacks)  # type: ignore[attr-defined]
        if "current_model_state" in checkpoint and not averages:
            raise UserError(
                "the checkpoint was trained with a callback that averages weights, and none is "
                "there now: its weights are the average. Go on with the same callback."
            )
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
        validation: dict[str, dict[str, int]] = loops["epoch_loop.val_loop.batch_progress"]
        validating = validation["current"]["ready"] > validation["current"]["completed"]
        self._seen = 0 if batches["is_last_batch"] else current["ready"]
        saved_in_batch_end = total["completed"] == total["processed"] - 1
        epoch: int = loops["epoch_progress"]["current"]["processed"]
        every = trainer.check_val_every_n_epoch
        due = trainer.enable_validation and (every is None or (epoch + 1) % every == 0)
        if validating or (saved_in_batch_end and batches["is_last_batch"] and due):
            total["completed"], current["completed"] = total["processed"], current["processed"]
            validation["total"] |= {"ready": 1, "started": 1, "processed": 0, "completed": 0}
            validation["current"] |= dict.fromkeys(validation["current"], 0)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop at once where early stopping had stopped, unless it is to be more patient.

        A UserError says that more batches of the epoch were seen than it is to have.
        """
        if self._seen > trainer.num_training_batches:
            raise UserError(
                f"the checkpoint is from batch {self._seen} of an epoch, and trainer."
                f"limit_train_batches is {trainer.num_training_batches} now. Leave that as it was."
            )
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
        begin_next_epoch(trainer)
        self._trains = True

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Say where nothing was left to do."""
        if trainer.ckpt_path and not self._trains:
            rank_zero_info(
                f"The training is over after {trainer.current_epoch} epochs, {trainer.global_step} "
                "steps. To go on, raise trainer.max_epochs or trainer.max_steps; a new training of "
                f"its weights is --init_from {trainer.ckpt_path}"
            )


def random_state() -> State:
    """The present state of this process."""
    version, words, gauss = random.getstate()
    numpy = np.random.get_state(legacy=False)
    state = {
        "torch": torch.get_rng_state(),
        "python": {"version": version, "words": torch.tensor(words), "gauss": gauss},
        "numpy": {
            "words": torch.from_numpy(numpy["state"]["key"].astype(np.int64)),
            "position": int(numpy["state"]["pos"]),
            "has_gauss": int(numpy["has_gauss"]),
            "gauss": float(numpy["gauss"]),
        },
    }
    if _uses_a_gpu():
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def set_random_state(state: State) -> None:
    """Go on from a state that ``random_state`` gave."""
    torch.set_rng_state(state["torch"])
    python, numpy = state["python"], state["numpy"]
    random.setstate((python["version"], tuple(python["words"].tolist()), python["gauss"]))
    words = numpy["words"].numpy().astype(np.uint32)
    np.random.set_state(("MT19937", words, numpy["position"], numpy["has_gauss"], numpy["gauss"]))
    if "cuda" in state and _uses_a_gpu():
        torch.cuda.set_rng_state(state["cuda"])


def _uses_a_gpu() -> bool:
    """Whether this run does: one on the CPU leaves the GPUs of its machine alone."""
    initialized: bool = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    return initialized
