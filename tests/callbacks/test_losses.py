import math
import re
import sys

import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import LambdaCallback, ModelCheckpoint
from lightning.pytorch.loggers import TensorBoardLogger

from lightning_gen.callbacks import FiniteLoss, LossCurves, Progress, losses
from lightning_gen.errors import UserError
from lightning_gen.figures.curves import loss_curves
from lightning_gen.figures.style import to_array
from lightning_gen.models import VAE
from support.command import rows
from support.models import tiny
from support.refusals import assert_refused

# lightning counts the batches of an epoch; these tests look seldom on purpose.
pytestmark = pytest.mark.filterwarnings("ignore:The number of training batches")


class Breaks(VAE):
    """A VAE whose loss is multiplied by a number at one step."""

    def training_step(self, batch, batch_idx):
        loss = super().training_step(batch, batch_idx)
        return loss * self.factor if self.global_step == self.at else loss


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
    assert "val/loss" not in run.callback_metrics, "validation was begun"


def test_the_loss_is_looked_at_every_few_steps_only(trainer, mini):
    run = trainer(FiniteLoss(), limit_train_batches=100, log_every_n_steps=10)
    assert_refused("step 11", run.fit, breaking(11), mini)
    assert run.global_step == 20


def test_the_last_good_checkpoint_is_named_and_kept(trainer, mini, tmp_path):
    save = ModelCheckpoint(tmp_path / "c", every_n_train_steps=3, save_last=True)
    options = {"limit_train_batches": 8, "log_every_n_steps": 1000}
    run = trainer(save, FiniteLoss(), enable_checkpointing=True, **options)
    with pytest.raises(UserError, match=r"step 4 .*c/last.ckpt") as error:
        run.fit(breaking(4), mini)
    assert run.global_step == 6, "found only when the second checkpoint was about to be written"
    assert "\n" not in str(error.value)
    for file in (tmp_path / "c").iterdir():
        checkpoint = torch.load(file, weights_only=True)
        assert checkpoint["global_step"] == 3
        assert all(tensor.isfinite().all() for tensor in checkpoint["state_dict"].values())


@pytest.fixture
def fit(trainer, mini):
    def run(refresh_rate=1, **arguments):
        arguments = {"enable_progress_bar": True, "max_epochs": 2} | arguments
        trainer(Progress(refresh_rate), **arguments).fit(tiny(), mini)

    return run


def test_a_log_file_gets_a_line_an_epoch(fit, capsys):
    fit()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    for line, start in zip(lines, ("epoch 0, step 2", "epoch 1, step 4"), strict=True):
        assert re.fullmatch(start + r", loss \d+\.\d nats, val \d+\.\d nats", line)


def test_a_long_epoch_gets_lines_on_the_way(fit, capsys, monkeypatch):
    monkeypatch.setattr(losses, "SECONDS_BETWEEN_LINES", 0.0)
    fit(max_epochs=1)
    lines = [", ".join(line.split(", ")[:2]) for line in capsys.readouterr().out.splitlines()]
    assert lines == [f"epoch 0, step {step}" for step in (1, 2, 2)]


def test_losses_that_were_not_logged_are_left_out(fit, capsys):
    fit(max_epochs=1, log_every_n_steps=1000, limit_val_batches=0)
    assert capsys.readouterr().out == "epoch 0, step 2\n"


def test_no_loss_is_told_twice(fit, capsys):
    fit(max_epochs=4, check_val_every_n_epoch=2, log_every_n_steps=3)
    lines = capsys.readouterr().out.splitlines()
    assert ["loss" in line for line in lines] == [False, True, True, False]  # steps 3 and 6
    assert ["val" in line for line in lines] == [False, True, False, True]


def test_a_terminal_gets_a_bar_with_the_losses(fit, capsys, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    fit()
    shown = capsys.readouterr().out
    assert re.search(r"Epoch 1: 100%.*loss=\d+\.\d nats, val=\d+\.\d nats\]", shown)
    assert "v_num" not in shown
    assert "kl" not in shown
    assert "epoch 1, step" not in shown


def test_the_curves_of_the_run_so_far_are_drawn(trainer, mini, pictures, tmp_path):
    run = trainer(LossCurves(every_n_epochs=2), max_epochs=3)
    run.fit(tiny(), mini)
    known = losses.logged_quantities(run)
    assert known.of("val/kl").unit == "nats per image"
    found = pictures("loss_curves")
    assert list(found) == [4, 6]
    logged = rows(tmp_path / "run")
    assert {"train/loss", "val/loss"} <= logged[0].keys()
    np.testing.assert_array_equal(found[6], to_array(loss_curves(logged, known)))
    early = [row for row in logged if int(row["step"]) < 4]
    np.testing.assert_array_equal(found[4], to_array(loss_curves(early, known)))


def test_values_that_the_logger_has_not_written_yet_are_drawn(trainer, mini, pictures, tmp_path):
    def log(trainer, _):
        trainer.logger.log_metrics({"train/own": 1.0}, trainer.global_step)

    run = trainer(LambdaCallback(on_train_epoch_end=log), LossCurves(), max_epochs=1)
    run.fit(tiny(), mini)
    known = losses.logged_quantities(run)
    logged = rows(tmp_path / "run")
    assert "train/own" in logged[0]
    np.testing.assert_array_equal(pictures("loss_curves")[2], to_array(loss_curves(logged, known)))


def test_a_run_that_logged_nothing_yet_is_not_drawn(trainer, mini, tmp_path):
    arguments = {"log_every_n_steps": 1000, "limit_val_batches": 0}
    trainer(LossCurves(every_n_epochs=1), **arguments).fit(tiny(), mini)
    assert not list(tmp_path.rglob("*.png"))


def test_without_a_csv_logger_the_user_is_told(trainer, mini, tmp_path):
    for logger in (False, TensorBoardLogger(tmp_path)):
        with pytest.raises(UserError, match=r"Add lightning.pytorch.loggers.CSVLogger"):
            trainer(LossCurves(), logger=logger).fit(tiny(), mini)
