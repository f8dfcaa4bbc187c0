"""What is drawn and measured at the end of an epoch has the averaged weights."""

from functools import partial

import numpy as np
import pytest
import torch
from lightning.pytorch import seed_everything
from lightning.pytorch.callbacks import EMAWeightAveraging
from torch.optim import Adam

from lightning_gen.callbacks import RandomState, SampleDiversity, Samples
from lightning_gen.callbacks.picture import untouched
from lightning_gen.figures import image_grid
from lightning_gen.models import DCGAN
from lightning_gen.networks import DCGANNetworks
from support.models import tiny


def gan():
    seed_everything(0, verbose=False)
    return DCGAN((1, 28, 28), 8, DCGANNetworks((4, 8)), optimizer=partial(Adam, lr=0.05))


class Recorder(EMAWeightAveraging):
    """Averages by hand as well, in double precision."""

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
    average, picture = Recorder(use_buffers=use_buffers), Samples(num_images=4)
    callbacks = [average, picture] if first else [picture, average]
    trainer(*callbacks, max_epochs=2).fit(gan(), mini)
    shown = gan()
    parameters = dict(shown.named_parameters())
    state = {
        name: average.by_hand[name].float() if use_buffers or name in parameters else raw
        for name, raw in average.raw.items()
    }
    shown.load_state_dict(state)
    torch.manual_seed(0)
    with torch.no_grad():
        expected = image_grid(shown.eval().sample(4), "Samples at step 4")
    found = pictures("samples")[4].astype(int)
    assert np.abs(found - expected).max() <= 1
    shown.load_state_dict(average.raw)
    torch.manual_seed(0)
    with torch.no_grad():
        raw = image_grid(shown.eval().sample(4), "Samples at step 4")
    assert np.abs(found - raw).max() > 1, "the test cannot tell the two apart"


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
        with untouched(fit, model):
            seen.append(model.encoder[1].weight.clone())
            raise KeyError

    with pytest.raises(KeyError):
        draw()
    torch.testing.assert_close(seen, [before - 1])
    assert torch.equal(model.encoder[1].weight, before)
