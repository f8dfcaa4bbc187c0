"""A run that is told to end saves and leaves."""

import os
import signal
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import rank_zero_only
from torch import distributed

from lightning_gen._compat import accumulates, log_step
from lightning_gen.callbacks.drawing import run_directory
from lightning_gen.errors import InterruptionError

AGAIN = {
    signal.SIGTERM: "",
    signal.SIGUSR1: "",
    signal.SIGINT: " Once more to stop at once, without saving.",
}
"""The signals, and what is said of sending them again."""
SAVE = 1
"""The wish to save and to go on; the others are the numbers of signals, which are larger."""
SECONDS = 1.0
MOST_STEPS = 100


class Interruption(Callback):
    """SIGTERM, SIGUSR1 or Ctrl-C finish the step, save and end the run; a second Ctrl-C is at once.

    These are what Slurm sends before it takes a node away, and a user who has waited enough. The
    checkpoint is also written every few minutes, so that a crash in a long epoch costs no more.

    Several processes end at the same step, whichever of them was told: they agree about once a
    second. One process leaves a validation at once, which the run makes up for when it goes on;
    several end after it.

    Args:
        checkpoint: the file that is written; by default last.ckpt where the run's logger writes.
        minutes: between two checkpoints at most, of whatever callback; validation comes on top.
    """

    def __init__(self, checkpoint: Path | None = None, minutes: float = 15.0) -> None:
        self._asked = checkpoint
        self.minutes = minutes
        self._heard = 0
        self._saved_at = time.monotonic()
        self._agreement = Agreement()

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """All processes write to the folder of the first."""
        path = self._asked or run_directory(trainer) / "checkpoints" / "last.ckpt"
        self.checkpoint: Path = trainer.strategy.broadcast(path)

    def on_sanity_check_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take the place of Lightning's handlers, which save in the middle of a step."""
        if threading.current_thread() is threading.main_thread():
            for number in AGAIN:
                if signal.getsignal(number) != signal.SIG_IGN:  # as a shell's background jobs do
                    signal.signal(number, self._hear)

    on_test_start = on_sanity_check_start  # of a finished training, too

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin to count the minutes."""
        self.on_sanity_check_start(trainer, pl_module)  # which there may be none of
        self._saved_at = time.monotonic()
        self._agreement = Agreement()

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:  # noqa: ANN401  (Lightning's)
        """Save where it is time; leave by an InterruptionError where the run was told to."""
        if accumulates(trainer):
            return  # half of a step's gradients would be lost
        late = time.monotonic() - self._saved_at > 60 * self.minutes
        wish = self._agreement.on(self._heard or SAVE * late, trainer)
        if wish == SAVE:
            trainer.save_checkpoint(self.checkpoint, weights_only=False)
        elif wish:
            self._leave(wish, trainer)

    def on_validation_batch_end(self, trainer: Trainer, *_: Any) -> None:  # noqa: ANN401
        """Save and leave a validation of the training where one process was told to."""
        trains = trainer.state.fn == TrainerFn.FITTING and not trainer.sanity_checking
        if self._heard and trains and trainer.world_size == 1:
            self._leave(self._heard, trainer)

    def on_test_batch_end(self, *_: Any) -> None:  # noqa: ANN401  (Lightning's)
        """Leave by an InterruptionError where the run was told to: the training has been saved."""
        if self._heard:
            raise InterruptionError(self._heard, self.checkpoint, None)

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Count the minutes from here, whoever saves."""
        self._saved_at = time.monotonic()

    def _leave(self, number: int, trainer: Trainer) -> None:
        trainer.save_checkpoint(self.checkpoint, weights_only=False)
        log_step(trainer)  # Lightning's turn is later
        raise InterruptionError(number, self.checkpoint, trainer.global_step)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if number == self._heard == signal.SIGINT:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGINT)
        if not self._heard and rank_zero_only.rank == 0:  # type: ignore[attr-defined]
            name = signal.Signals(number)
            text = f"{name.name}: saving after this step.{AGAIN[name]}\n"
            os.write(2, text.encode())  # print may be at work right now
        self._heard = number


class Agreement:
    """Lets all processes do the same at the same step.

    They ask each other about once a second, at steps that all of them know, since an exchange at
    every step would let a GPU wait.
    """

    def __init__(self) -> None:
        self._steps = 0
        self._until = 1
        self._asked_at = time.monotonic()

    def on(self, wish: int, trainer: Trainer) -> int:
        """The greatest wish of all processes, or 0 at a step where they do not ask."""
        if not (distributed.is_available() and distributed.is_initialized()):
            return wish
        self._steps += 1
        if self._steps < self._until:
            return 0
        now = time.monotonic()
        seconds_a_step = (now - self._asked_at) / self._steps
        pause = min(MOST_STEPS, max(1, int(SECONDS / max(seconds_a_step, 1e-6))))
        numbers = torch.tensor([wish, pause], device=trainer.strategy.root_device)
        distributed.all_reduce(numbers, distributed.ReduceOp.MAX)
        agreed, self._until = (int(number) for number in numbers.tolist())
        self._steps, self._asked_at = 0, now
        return agreed
