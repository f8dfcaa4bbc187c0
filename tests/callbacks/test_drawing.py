import pickle
import random
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
import torch
from lightning.pytorch import Trainer, seed_everything
from lightning.pytorch.callbacks import EMAWeightAveraging, LambdaCallback
from lightning.pytorch.loggers import CSVLogger, WandbLogger
from torch.optim import Adam

from lightning_gen.callbacks import Draw, Drawing, RandomState, SampleDiversity
from lightning_gen.callbacks.drawing import evaluation_mode, run_directory
from lightning_gen.figures.grid import image_grid
from lightning_gen.models import DCGAN
from lightning_gen.networks import DCGANNetworks
from lightning_gen.pictures import Samples
from support.models import tiny


class GreyPicture(Drawing):
    """Draws one colour, and notes the state it draws in."""

    def __init__(self, every_n_epochs=1):
        super().__init__(every_n_epochs)
        self.seen = []

    def draw(self, trainer, pl_module, name):
        torch.rand(3)
        modes = {module.training for module in pl_module.modules()}
        self.seen.append((modes, torch.is_grad_enabled(), torch.is_autocast_enabled("cpu")))
        return np.full((4, 6, 3), 128, dtype=np.uint8)


@pytest.mark.parametrize(
    ("every", "arguments", "steps"),
    [
        (1, {"max_epochs": 3}, [2, 4, 6]),
        (2, {"max_epochs": 3}, [4, 6]),
        (2, {"max_epochs": 2}, [4]),
        (5, {"max_epochs": 2}, [4]),
        (1, {"max_epochs": 3, "max_steps": 3}, [2, 3]),
        (1, {"max_epochs": 2, "limit_val_batches": 0}, [2, 4]),
        (None, {"max_epochs": 120, "limit_train_batches": 1}, list(range(6, 121, 6))),
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
    stop = LambdaCallback(on_train_epoch_end=lambda run, _: setattr(run, "should_stop", True))
    trainer(GreyPicture(5), stop, max_epochs=9).fit(tiny(), mini)
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
    others = random.getstate(), pickle.dumps(np.random.get_state())
    with evaluation_mode(trainer(), model):
        torch.rand(1), random.random(), np.random.rand()
    assert [module.training for module in model.modules()] == before
    assert torch.equal(torch.get_rng_state(), random_state)
    assert (random.getstate(), pickle.dumps(np.random.get_state())) == others
    assert torch.is_grad_enabled()


def test_the_run_directory_is_that_of_the_first_logger_which_has_one(tmp_path):
    csv = CSVLogger(tmp_path, name="n", version="v")
    wandb = WandbLogger(offline=True, save_dir=tmp_path)
    for loggers, directory in (([csv], "n/v"), ([wandb, csv], "n/v"), ([wandb], "."), (False, ".")):
        trainer = Trainer(default_root_dir=tmp_path, logger=loggers, accelerator="cpu")
        assert run_directory(trainer) == tmp_path / directory


def gan():
    seed_everything(0, verbose=False)
    return DCGAN((1, 28, 28), 8, DCGANNetworks((4, 8)), optimizer=partial(Adam, lr=0.05))


class Recorder(EMAWeightAveraging):
    def __init__(self, **arguments):
        super().__init__(decay=0.5, **arguments)
        self.by_hand, self.raw = {}, {}

    def on_train_batch_end(self, trainer, pl_module, *arguments):
        super().on_train_batch_end(trainer, pl_module, *arguments)
        self.raw = {k: v.detach().clone() for k, v in pl_module.state_dict().items()}
        for name, value in self.raw.items():
            before = self.by_hand.get(name, value.double())
            self.by_hand[name] = 0.5 * before + 0.5 * value.double()


@pytest.mark.parametrize("use_buffers", [True, False])
@pytest.mark.parametrize("first", [True, False], ids=["average first", "picture first"])
def test_pictures_show_the_averaged_weights(use_buffers, first, trainer, mini, pictures):
    average, picture = Recorder(use_buffers=use_buffers), Draw(Samples(num_images=4))
    callbacks = [average, picture] if first else [picture, average]
    trainer(*callbacks, max_epochs=2).fit(gan(), mini)
    shown = gan().eval()
    parameters = dict(shown.named_parameters())
    averaged = {
        name: average.by_hand[name].float() if use_buffers or name in parameters else raw
        for name, raw in average.raw.items()
    }
    differences = []
    for state in (averaged, average.raw):
        shown.load_state_dict(state)
        torch.manual_seed(0)
        with torch.no_grad():
            expected = image_grid(shown.sample(4), "Samples at step 4")
        differences.append(np.abs(pictures("samples")[4].astype(int) - expected).max())
    assert differences[0] <= 1
    assert differences[1] > 1, "the test cannot tell the two apart"


def test_the_weights_of_training_come_back(trainer, mini):
    def train(*callbacks):
        average = Recorder()
        model = gan()
        trainer(RandomState(), average, *callbacks, max_epochs=3, logger=False).fit(model, mini)
        return average.raw, model.state_dict()

    for bare, drawn in zip(train(), train(SampleDiversity(num_images=4)), strict=True):
        assert all(torch.equal(tensor, drawn[name]) for name, tensor in bare.items())


def test_a_picture_that_fails_gives_the_weights_back(trainer):
    average, model = EMAWeightAveraging(), tiny()
    fit = trainer(average)
    average.setup(fit, model, "fit")
    with torch.no_grad():
        model.encoder[1].weight.add_(1)
    before = model.encoder[1].weight.clone()
    seen = []

    def draw():
        with evaluation_mode(fit, model):
            seen.append(model.encoder[1].weight.clone())
            raise KeyError

    with pytest.raises(KeyError):
        draw()
    torch.testing.assert_close(seen, [before - 1])
    assert torch.equal(model.encoder[1].weight, before)


@pytest.mark.parametrize(
    ("max_epochs", "every", "expected"),
    [
        (39, None, [*range(2, 39, 2), 39]),
        (90, None, [*range(4, 90, 4), 90]),
        (40, 1, [*range(1, 41)]),
    ],
)
def test_a_kind_of_picture_keeps_at_most_thirty_by_default(
    max_epochs, every, expected, trainer, mini, tmp_path
):
    picture = Samples(num_images=1, every_n_epochs=every)
    run = trainer(Draw(picture), max_epochs=max_epochs, limit_train_batches=1, limit_val_batches=0)
    run.fit(tiny(), mini)
    assert [int(path.stem) for path in sorted(tmp_path.rglob("*.png"))] == expected


def test_a_training_without_an_end_is_thinned_as_it_grows(trainer, mini, tmp_path):
    stop = LambdaCallback(
        on_train_epoch_start=lambda trainer, _: setattr(
            trainer, "should_stop", trainer.current_epoch == 99
        )
    )
    short = {"limit_train_batches": 1, "limit_val_batches": 0}
    trainer(Draw(Samples(num_images=1)), stop, max_epochs=-1, **short).fit(tiny(), mini)
    steps = [int(path.stem) for path in sorted(tmp_path.rglob("*.png"))]
    assert 15 <= len(steps) <= 30
    assert steps[0] == 1
    assert steps[-1] == 99
    assert max(b - a for a, b in pairwise(steps)) <= 8
