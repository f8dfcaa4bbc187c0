import math
import re

import pytest
import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.callbacks import ModelCheckpoint

from lightning_gen.callbacks import FiniteLoss
from lightning_gen.errors import UserError
from lightning_gen.models import VAE
from support.models import tiny

# lightning counts the batches of an epoch; these tests look seldom on purpose.
pytestmark = pytest.mark.filterwarnings("ignore:The number of training batches")


class Breaks(VAE):
    """A VAE whose loss is multiplied by a number at one step."""

    def training_step(self, batch, batch_idx):
        loss = super().training_step(batch, batch_idx)
        return loss * self.factor if self.global_step == self.at else loss


class ByHand(LightningModule):
    """Two optimizers and two losses a batch; the second breaks in the third batch."""

    def __init__(self):
        super().__init__()
        self.automatic_optimization = False
        self.weight = torch.nn.Parameter(torch.ones(()))

    def training_step(self, batch, batch_idx):
        for optimizer, factor in zip(self.optimizers(), (1, math.nan), strict=True):
            optimizer.zero_grad()
            self.manual_backward(self.weight * (factor if batch_idx == 2 else 1))
            optimizer.step()

    def configure_optimizers(self):
        return [torch.optim.SGD([self.weight], 0.1) for _ in range(2)]


def breaking(at, factor=math.nan):
    model = tiny(Breaks)
    model.at, model.factor = at, factor
    return model


@pytest.mark.parametrize(
    ("factor", "every"), [(math.nan, 1), (math.inf, 4), (-math.inf, 1000), (math.nan, 1000)]
)
def test_the_step_of_the_first_bad_loss_is_named(factor, every, trainer, mini):
    run = trainer(FiniteLoss(), limit_train_batches=8, log_every_n_steps=every, max_epochs=2)
    value = re.escape(str(float(factor)))
    with pytest.raises(UserError, match=rf"became {value} at step 5 .*none was saved yet"):
        run.fit(breaking(5, factor), mini)


def test_the_loss_is_looked_at_every_few_steps_only(trainer, mini):
    run = trainer(FiniteLoss(), limit_train_batches=100, log_every_n_steps=10)
    with pytest.raises(UserError, match="step 11"):
        run.fit(breaking(11), mini)
    assert run.global_step == 20


def test_validation_is_not_begun(trainer, mini):
    run = trainer(FiniteLoss(), log_every_n_steps=1000)
    with pytest.raises(UserError, match="step 1"):
        run.fit(breaking(1), mini)
    assert "val/loss" not in run.callback_metrics


def test_the_last_good_checkpoint_is_named_and_kept(trainer, mini, tmp_path):
    save = ModelCheckpoint(tmp_path / "c", every_n_train_steps=3, save_last=True)
    run = trainer(
        save,
        FiniteLoss(),
        enable_checkpointing=True,
        limit_train_batches=8,
        log_every_n_steps=1000,
    )
    with pytest.raises(UserError, match=r"step 4 .*c/last.ckpt") as error:
        run.fit(breaking(4), mini)
    assert run.global_step == 6, "found only when the second checkpoint was about to be written"
    assert "\n" not in str(error.value)
    for file in (tmp_path / "c").iterdir():
        checkpoint = torch.load(file, weights_only=True)
        assert checkpoint["global_step"] == 3
        assert all(tensor.isfinite().all() for tensor in checkpoint["state_dict"].values())


def test_every_loss_of_a_model_that_optimises_by_hand_is_seen(trainer, mini):
    run = trainer(FiniteLoss(), limit_train_batches=8, limit_val_batches=0)
    with pytest.raises(UserError, match="nan at step 5"):
        run.fit(ByHand(), train_dataloaders=mini.train_dataloader())
