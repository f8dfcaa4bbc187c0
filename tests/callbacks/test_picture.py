import numpy as np
import pytest
import torch
from lightning.pytorch import Callback, seed_everything
from lightning.pytorch.loggers import CSVLogger
from torch import nn

from lightning_gen.callbacks import (
    CollapseMonitor,
    FiniteLoss,
    LossCurves,
    Picture,
    RandomState,
    Reconstructions,
    Samples,
)
from lightning_gen.callbacks.picture import snake_case, untouched
from lightning_gen.errors import UserError
from lightning_gen.models import AE
from lightning_gen.networks import Conv
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


def test_a_fast_dev_run_draws_nothing(trainer, mini, tmp_path):
    callbacks = [GreyPicture(), Reconstructions(), Samples(), LossCurves(), CollapseMonitor()]
    trainer(*callbacks, fast_dev_run=True).fit(tiny(), mini)
    assert not list(tmp_path.rglob("*.png"))


def test_drawing_is_in_evaluation_mode_without_gradients(trainer, mini):
    callback = GreyPicture()
    trainer(callback).fit(tiny(), mini)
    assert callback.seen == [({False}, False, False)]


def test_drawing_has_the_trainers_precision(trainer, mini):
    callback = GreyPicture()
    trainer(callback, precision="bf16-mixed").fit(tiny(), mini)
    assert callback.seen == [({False}, False, True)]


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


def test_a_picture_that_fails_leaves_the_model_as_it_was(trainer):
    model = tiny()
    with pytest.raises(KeyError), untouched(trainer(), model):
        raise KeyError
    assert all(module.training for module in model.modules())


def test_callbacks_leave_training_bit_for_bit_the_same(trainer, mini, tmp_path):
    def train(name, *callbacks):
        seed_everything(0, verbose=False)
        model = tiny(architecture=Conv((4, 8), normalization=nn.BatchNorm2d))
        logger = CSVLogger(tmp_path, name=name)
        # RandomState keeps validation's numbers apart from training's, so both runs have it.
        trainer(RandomState(), *callbacks, max_epochs=3, logger=logger).fit(model, mini)
        return model.state_dict()

    bare = train("bare")
    watched = train(
        "watched",
        Reconstructions(),
        Samples(num_images=9),
        LossCurves(1),
        CollapseMonitor(num_images=30, every_n_epochs=1),
        FiniteLoss(),
    )
    assert bare.keys() == watched.keys()
    for name, tensor in bare.items():
        assert torch.equal(tensor, watched[name]), name
    drawn = {file.parent.name for file in tmp_path.rglob("watched/**/*.png")}
    assert drawn == {"reconstructions", "samples", "loss_curves", "collapse_monitor"}


def test_a_model_without_the_capability_is_refused_before_training(trainer, mini):
    for callback, message in (
        (CollapseMonitor(), "CollapseMonitor needs a model that infers, and AE does not"),
        (Samples(), "Samples needs a model that samples, and AE does not"),
    ):
        with pytest.raises(UserError, match=message):
            trainer(callback).fit(tiny(AE), mini)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Samples(every_n_epochs=0), "Samples.every_n_epochs is at least 1, got 0"),
        (lambda: Samples(num_images=0), "Samples.num_images is at least 1, got 0"),
        (lambda: Reconstructions(num_images=-1), "Reconstructions.num_images is at least 1"),
        (lambda: CollapseMonitor(num_images=1), "CollapseMonitor.num_images is at least 2, got 1"),
        (lambda: LossCurves(0), "LossCurves.every_n_epochs is at least 1, got 0"),
    ],
)
def test_numbers_too_small_are_refused(make, message):
    with pytest.raises(UserError, match=message):
        make()


def test_the_folder_is_named_after_the_class():
    assert snake_case("LossCurves") == "loss_curves"
    assert snake_case("Samples") == "samples"
