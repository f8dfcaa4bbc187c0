import numpy as np
import pytest
import torch
from lightning.pytorch import Callback

from lightning_gen.callbacks import (
    Picture,
)
from lightning_gen.callbacks.picture import snake_case, untouched
from support.models import tiny


class GreyPicture(Picture):
    """Draws one colour, and notes the state it draws in."""

    def __init__(self, every_n_epochs=1):
        super().__init__(every_n_epochs)
        self.seen = []

    def draw(self, trainer, pl_module):
        torch.rand(3)
        modes = {module.training for module in pl_module.modules()}
        state = modes, torch.is_grad_enabled(), torch.is_autocast_enabled("cpu")
        self.seen.append(state)
        return np.full((4, 6, 3), 128, dtype=np.uint8)


class StopAfterFirstEpoch(Callback):
    def on_train_epoch_end(self, trainer, pl_module):
        trainer.should_stop = True


@pytest.mark.parametrize(
    ("every", "arguments", "steps"),
    [
        (1, {"max_epochs": 3}, [2, 4, 6]),
        (2, {"max_epochs": 3}, [4, 6]),
        (2, {"max_epochs": 2}, [4]),
        (5, {"max_epochs": 2}, [4]),
        (1, {"max_epochs": 3, "max_steps": 3}, [2, 3]),
        (1, {"max_epochs": 2, "limit_val_batches": 0}, [2, 4]),
    ],
)
def test_pictures_come_every_n_epochs_and_at_the_end(
    every, arguments, steps, trainer, mini, pictures
):
    callback = GreyPicture(every)
    trainer(callback, **arguments).fit(tiny(), mini)
    assert list(pictures("grey_picture")) == steps
    assert len(callback.seen) == len(steps), "a step was drawn twice"


def test_a_run_that_stops_early_is_drawn_at_its_end(trainer, mini, pictures):
    trainer(GreyPicture(5), StopAfterFirstEpoch(), max_epochs=9).fit(tiny(), mini)
    assert list(pictures("grey_picture")) == [2]


def test_a_second_fit_is_drawn_again(trainer, mini):
    callback = GreyPicture()
    for _ in range(2):
        trainer(callback, logger=False).fit(tiny(), mini)
    assert len(callback.seen) == 2


@pytest.mark.parametrize(("precision", "autocast"), [("32-true", False), ("bf16-mixed", True)])
def test_drawing_is_in_evaluation_mode_without_gradients(precision, autocast, trainer, mini):
    callback = GreyPicture()
    trainer(callback, precision=precision).fit(tiny(), mini)
    assert callback.seen == [({False}, False, autocast)]


def test_each_module_gets_its_own_mode_back(trainer):
    model = tiny()
    model.encoder.eval()
    model.decoder[0].eval()
    before = [module.training for module in model.modules()]
    random_state = torch.get_rng_state()
    with untouched(trainer(), model):
        torch.rand(1)
    assert [module.training for module in model.modules()] == before
    assert torch.equal(torch.get_rng_state(), random_state)
    assert torch.is_grad_enabled()


def test_the_folder_is_named_after_the_class():
    assert snake_case("LossCurves") == "loss_curves"
    assert snake_case("Samples") == "samples"
