"""A GAN that was stopped and goes on ends, to the bit, where the uninterrupted one does."""

from functools import partial

import pytest
import torch
from lightning.pytorch import Callback, Trainer, seed_everything
from lightning.pytorch.callbacks import EMAWeightAveraging, ModelCheckpoint
from torch.optim.lr_scheduler import ExponentialLR

from lightning_gen.callbacks import RandomState
from lightning_gen.data import MiniFashionMNIST
from lightning_gen.models import DCGAN
from lightning_gen.networks import DCGANNetworks
from lightning_gen.objectives import GradientPenalty

pytestmark = [
    # A resumed run saves where the stopped one did.
    pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty"),
    # The weights after the updates are what is wanted, as for every other model.
    pytest.mark.filterwarnings("ignore:Using ModelCheckpoint with manual optimization"),
]

BATCHES, EPOCHS = 8, 3


class Tiny(MiniFashionMNIST):
    """100 of the images, 20 of them for validation."""

    def __init__(self):
        super().__init__(10, 0.2)

    def load_train(self):
        return super().load_train().subset(torch.arange(0, 10_000, 100))


class KilledError(Exception):
    pass


class StopAt(Callback):
    def __init__(self, step):
        self.step = step

    def on_train_batch_end(self, trainer, *_):
        if trainer.global_step == self.step:
            raise KilledError


def run(folder, checkpoint=None, stop=None, **saving):
    """The weights at the end, raw and averaged, or the checkpoint that a killed run leaves."""
    seed_everything(5, verbose=False)
    model = DCGAN(
        (1, 28, 28),
        6,
        DCGANNetworks((4, 8), dropout=0.2, norm_discriminator=False),
        penalty=GradientPenalty(),
        discriminator_steps=3,
        lr_scheduler=partial(ExponentialLR, gamma=0.5),
    )
    keep = ModelCheckpoint(folder, save_top_k=-1, **saving)
    average = EMAWeightAveraging(decay=0.9)
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=EPOCHS,
        callbacks=[average, RandomState(), keep] + ([] if stop is None else [StopAt(stop)]),
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    if stop is None:
        ends = End()
        trainer.callbacks.append(ends)
        trainer.fit(model, Tiny(), ckpt_path=checkpoint)
        assert trainer.global_step == EPOCHS * BATCHES
        assert trainer.optimizers[0].param_groups[0]["lr"] == 2e-4 * 0.5**EPOCHS
        return {"raw": ends.raw, "average": model.state_dict()}
    with pytest.raises(KilledError):
        trainer.fit(model, Tiny(), ckpt_path=checkpoint)
    return keep.best_model_path


class End(Callback):
    """The weights after each step, which the average replaces at the end of training."""

    def on_train_batch_end(self, trainer, pl_module, *_):
        self.raw = {name: value.clone() for name, value in pl_module.state_dict().items()}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    return run(tmp_path_factory.mktemp("uninterrupted"))


@pytest.mark.parametrize(
    "saving",
    [
        pytest.param({"every_n_train_steps": 11}, id="mid-epoch"),
        pytest.param({"every_n_train_steps": 8}, id="the last batch of an epoch"),
        pytest.param({"save_on_train_epoch_end": True}, id="the end of an epoch"),
        pytest.param({"save_on_train_epoch_end": False}, id="the end of validation"),
    ],
)
def test_resume_is_exact(saving, tmp_path, uninterrupted):
    resumed = run(tmp_path, run(tmp_path, stop=15, **saving), **saving)
    for kind, whole in uninterrupted.items():
        assert whole.keys() == resumed[kind].keys()
        for name, value in whole.items():
            assert torch.equal(value, resumed[kind][name]), (kind, name)
