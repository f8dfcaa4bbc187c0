import csv

import numpy as np
import pytest
from lightning.pytorch import Callback
from lightning.pytorch.loggers import TensorBoardLogger

from lightning_gen.callbacks import LossCurves
from lightning_gen.errors import UserError
from lightning_gen.figures import loss_curves, to_array
from support.models import tiny


def test_the_curves_of_the_run_so_far_are_drawn(trainer, mini, pictures, tmp_path):
    trainer(LossCurves(every_n_epochs=2), max_epochs=3).fit(tiny(), mini)
    found = pictures("loss_curves")
    assert list(found) == [4, 6]
    with (tmp_path / "run" / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {"train/loss", "val/loss"} <= rows[0].keys()
    np.testing.assert_array_equal(found[6], to_array(loss_curves(rows)))
    early = [row for row in rows if int(row["step"]) < 4]
    np.testing.assert_array_equal(found[4], to_array(loss_curves(early)))


def test_values_that_the_logger_has_not_written_yet_are_drawn(trainer, mini, pictures, tmp_path):
    class LogsItself(Callback):
        def on_train_epoch_end(self, trainer, pl_module):
            trainer.logger.log_metrics({"train/own": 1.0}, trainer.global_step)

    trainer(LogsItself(), LossCurves(), max_epochs=1).fit(tiny(), mini)
    with (tmp_path / "run" / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert "train/own" in rows[0]
    np.testing.assert_array_equal(pictures("loss_curves")[2], to_array(loss_curves(rows)))


# lightning counts the batches of an epoch; these tests have few on purpose.
@pytest.mark.filterwarnings("ignore:The number of training batches")
def test_a_run_that_logged_nothing_yet_is_not_drawn(trainer, mini, tmp_path):
    arguments = {"log_every_n_steps": 1000, "limit_val_batches": 0}
    trainer(LossCurves(every_n_epochs=1), **arguments).fit(tiny(), mini)
    assert not list(tmp_path.rglob("*.png"))


def test_without_a_csv_logger_the_user_is_told(trainer, mini, tmp_path):
    for logger in (False, TensorBoardLogger(tmp_path)):
        with pytest.raises(UserError, match=r"Add lightning.pytorch.loggers.CSVLogger"):
            trainer(LossCurves(), logger=logger).fit(tiny(), mini)
