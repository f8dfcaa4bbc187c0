"""The command line's Trainer."""

import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.profilers import SimpleProfiler

from lightning_gen.cli.trainer import RunTrainer
from lightning_gen.data import MiniFashionMNIST
from support.models import QUIET, tiny


def test_a_profiler_that_was_asked_for_is_kept():
    assert isinstance(RunTrainer(profiler="simple", **QUIET).profiler, SimpleProfiler)
    own = SimpleProfiler()
    assert RunTrainer(profiler=own, **QUIET).profiler is own


def test_without_a_profiler_training_is_the_same():
    class Losses(Callback):
        def __init__(self):
            self.seen = []

        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            self.seen.append(outputs["loss"].item())

    def train(kind):
        torch.manual_seed(0)
        losses = Losses()
        trainer = kind(callbacks=losses, max_steps=3, limit_val_batches=1, **QUIET)
        trainer.fit(tiny(), MiniFashionMNIST(batch_size=20))
        return losses.seen

    assert train(RunTrainer) == train(Trainer)
