"""Where a training ends, ``last.ckpt`` is of its last step, and the training goes on from there."""

import pytest
import torch
from lightning.pytorch import Callback, seed_everything
from lightning.pytorch.callbacks import LambdaCallback

import lightning_gen as lg
from lightning_gen.errors import UserError

BATCHES = 9  # of an epoch
QUIET = {"default_pictures": False, "test_after_fit": False, "enable_progress_bar": False}


def train(name, resume=False, **options):
    seed_everything(5, verbose=False)
    data = lg.data.MiniFashionMNIST(batch_size=1024)
    model = lg.models.VAE(data.image_shape, 2, lg.networks.Dense((8,)))
    options = QUIET | {"limit_val_batches": 1, "log_every_n_steps": 2} | options
    run = lg.fit(model, data, name=name, resume=resume, **options)
    last = torch.load(run.path / "checkpoints" / "last.ckpt", weights_only=True)
    return last, (run.path / "metrics.csv").read_text()


@pytest.mark.parametrize(
    ("first", "then", "options"),
    [
        ({"max_steps": 4}, {"max_epochs": 2}, {}),
        ({"max_steps": 4}, {"max_steps": 6}, {}),
        ({"max_steps": 9}, {"max_steps": 13}, {}),
        ({"max_epochs": 1}, {"max_steps": 20}, {}),
        ({"max_steps": 14}, {"max_epochs": 3}, {}),
        ({"max_steps": 13}, {"max_epochs": 3}, {"check_val_every_n_epoch": 2}),
        ({"max_epochs": 1}, {"max_epochs": 2}, {"check_val_every_n_epoch": 2}),
        ({"max_steps": 8}, {"max_epochs": 2}, {"val_check_interval": 3}),
        ({"max_steps": 8}, {"max_epochs": 2}, {"limit_val_batches": 0}),
        ({"max_steps": 3}, {"max_epochs": 2}, {"accumulate_grad_batches": 2}),
    ],
)
def test_a_training_of_some_steps_goes_on_exactly(first, then, options, in_tmp):
    train("run", **first, **options)
    last, metrics = train("run", resume=True, **then, **options)
    expected, rows = train("whole", **then, **options)
    assert last["global_step"] == expected["global_step"]
    torch.testing.assert_close(last["state_dict"], expected["state_dict"], rtol=0, atol=0)
    assert metrics == rows


@pytest.mark.filterwarnings("ignore:.*Callback states")
def test_a_training_that_is_told_to_stop_goes_on_exactly(in_tmp):
    def stop(trainer, *_):
        trainer.should_stop = trainer.global_step == BATCHES + 3

    stops = LambdaCallback(on_train_batch_end=stop)
    last, _ = train("run", max_epochs=2, callbacks=[stops])
    assert last["global_step"] == BATCHES + 3
    last, _ = train("run", resume=True, max_epochs=2)
    expected, _ = train("whole", max_epochs=2)
    assert last["global_step"] == expected["global_step"] == 2 * BATCHES
    torch.testing.assert_close(last["state_dict"], expected["state_dict"], rtol=0, atol=0)


class Spoil(Callback):
    """Takes back, at the start of every epoch but the first, what was learnt."""

    def on_train_epoch_start(self, trainer, pl_module):
        for parameter in pl_module.parameters() if trainer.current_epoch else ():
            parameter.data.mul_(-1)


def test_the_last_epoch_is_kept_where_the_loss_gets_worse(in_tmp):
    last, _ = train("run", max_epochs=4, callbacks=[Spoil()])
    best = torch.load(in_tmp / "logs/run/version_0/checkpoints/best.ckpt", weights_only=True)
    assert best["global_step"] < last["global_step"] == 4 * BATCHES


def test_another_batch_size_within_an_epoch_is_refused(in_tmp):
    train("run", max_steps=4)
    model = lg.models.VAE((1, 28, 28), 2, lg.networks.Dense((8,)))
    data = lg.data.MiniFashionMNIST(batch_size=512)
    with pytest.raises(UserError, match=r"from the middle of an epoch, at batch 4 of 9"):
        lg.fit(model, data, name="run", resume=True, max_epochs=2, **QUIET)
