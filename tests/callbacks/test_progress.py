import re
import sys

import pytest
from lightning.pytorch import Callback

from lightning_gen.callbacks import Progress, progress
from support.models import tiny


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
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.0)
    fit(max_epochs=1)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(", loss")[0] for line in lines] == [
        "epoch 0, step 1",
        "epoch 0, step 2",
        "epoch 0, step 2",
    ]


# lightning counts the batches of an epoch; these tests have few on purpose.
@pytest.mark.filterwarnings("ignore:The number of training batches")
def test_losses_that_were_not_logged_are_left_out(fit, capsys):
    fit(max_epochs=1, log_every_n_steps=1000, limit_val_batches=0)
    assert capsys.readouterr().out == "epoch 0, step 2\n"


def test_a_terminal_gets_a_bar_with_the_losses(fit, capsys, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    fit()
    shown = capsys.readouterr().out
    assert re.search(r"Epoch 1: 100%.*loss=\d+\.\d nats, val=\d+\.\d nats\]", shown)
    assert "v_num" not in shown
    assert "kl" not in shown
    assert "epoch 1, step" not in shown


def test_a_training_step_fetches_nothing_for_the_bar(trainer, mini):
    class Look(Callback):
        fetched = ()

        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            self.fetched += (dict(trainer.progress_bar_metrics),)

    look = Look()
    trainer(look).fit(tiny(), mini)
    assert look.fetched == ({}, {})
