"""What every picture of codes promises, with every kind of model."""

from contextlib import nullcontext
from functools import partial
from shutil import rmtree

import numpy as np
import pytest
import torch
from lightning.pytorch import seed_everything
from lightning.pytorch.callbacks import EMAWeightAveraging
from torch.optim import Adam
from torch.utils.data import DataLoader

from lightning_gen.callbacks import (
    Arithmetic,
    Interpolation,
    LatentGrid,
    LatentScatter,
    RandomState,
    Traversal,
    validation_codes,
)
from lightning_gen.contracts import Batch
from lightning_gen.errors import UserError
from support.kinds import KINDS, WITH_ENCODER, fixed
from support.models import tiny

TERMS = ("Coat", "Sneaker", "Bag")  # all among the first 40 images
PICTURES = {
    "interpolation": lambda **arguments: Interpolation(num_pairs=2, steps=3, **arguments),
    "latent_scatter": lambda **arguments: LatentScatter(num_images=30, **arguments),
    "latent_grid": lambda **arguments: LatentGrid(steps=3, num_images=30, **arguments),
    "traversal": lambda **arguments: Traversal(2, 3, num_images=30, **arguments),
    "arithmetic": lambda terms=TERMS, **arguments: Arithmetic(terms, 40, **arguments),
}
NEED_ENCODER = ("latent_scatter", "arithmetic")
OF_CODES = [name for name in PICTURES if name != "interpolation"]

every = pytest.mark.parametrize("name", PICTURES)


def pictures_for(kind, **arguments):
    names = [name for name in PICTURES if kind in WITH_ENCODER or name not in NEED_ENCODER]
    return {name: PICTURES[name](**arguments) for name in names}


@pytest.mark.parametrize("kind", KINDS)
def test_each_model_gives_all_pictures_that_it_can(kind, trainer, mini, pictures):
    callbacks = pictures_for(kind)
    trainer(*callbacks.values()).fit(fixed(kind), mini)
    for name in callbacks:
        drawn = pictures(name)
        assert list(drawn) == [2], name
        assert drawn[2].std() > 1, f"{name} is blank"


@pytest.mark.parametrize("name", NEED_ENCODER)
def test_a_model_without_an_encoder_is_refused(name, trainer, mini):
    kind = type(PICTURES[name]()).__name__
    with pytest.raises(UserError, match=f"{kind} needs a model that encodes, and DCGAN does not"):
        trainer(PICTURES[name]()).fit(fixed("DCGAN"), mini)


@pytest.mark.parametrize("kind", KINDS)
def test_drawing_changes_nothing_in_training(kind, trainer, mini):
    def train(*callbacks):
        seed_everything(0, verbose=False)
        model = KINDS[kind]()
        trainer(RandomState(), *callbacks, max_epochs=2, logger=False).fit(model, mini)
        return model.state_dict(), torch.rand(3)

    bare, state = train()
    drawn, state_after = train(*pictures_for(kind, every_n_epochs=1).values())
    assert all(torch.equal(tensor, drawn[name]) for name, tensor in bare.items())
    assert torch.equal(state, state_after)


def test_every_nth_epoch_and_the_last_are_drawn(trainer, mini, pictures):
    callbacks = pictures_for("VAE", every_n_epochs=2)
    trainer(*callbacks.values(), max_epochs=5).fit(fixed("VAE"), mini)
    for name in callbacks:
        assert list(pictures(name)) == [4, 8, 10], name


@pytest.mark.parametrize("name", OF_CODES)
def test_only_the_epochs_that_are_due_are_encoded(name, trainer, mini, monkeypatch):
    epochs = []

    def recorded(model, batch):
        epochs.append(model.current_epoch)
        return encode(model, batch)

    encode = validation_codes.encode
    monkeypatch.setattr(validation_codes, "encode", recorded)
    trainer(PICTURES[name](every_n_epochs=2), max_epochs=5).fit(fixed("VAE"), mini)
    assert epochs == [1, 1, 3, 3, 4, 4], "two batches of 20 an epoch, 30 or 40 images"


@every
def test_nothing_is_drawn_or_encoded_in_a_rehearsal(name, trainer, mini, tmp_path, monkeypatch):
    def refuse(model, batch):
        raise AssertionError

    monkeypatch.setattr(validation_codes, "encode", refuse)
    trainer(PICTURES[name](every_n_epochs=1), fast_dev_run=True).fit(fixed("VAE"), mini)
    assert not list(tmp_path.rglob("*.png"))
    check = {"num_sanity_val_steps": 2, "limit_val_batches": 2, "check_val_every_n_epoch": 9}
    trainer(PICTURES[name](every_n_epochs=9), **check, max_steps=1).fit(fixed("VAE"), mini)
    assert name == "interpolation" or not list(tmp_path.rglob("*.png"))


@pytest.mark.parametrize("name", OF_CODES)
def test_an_epoch_without_validation_is_not_drawn(name, trainer, mini, pictures):
    run = trainer(PICTURES[name](every_n_epochs=1), max_epochs=3, check_val_every_n_epoch=2)
    run.fit(fixed("VAE"), mini)
    assert list(pictures(name)) == [4]


@pytest.mark.parametrize("name", OF_CODES)
def test_codes_of_an_earlier_fit_are_forgotten(name, trainer, mini, tmp_path):
    callback = PICTURES[name](every_n_epochs=1)
    trainer(callback, logger=False).fit(fixed("VAE"), mini)
    trainer(callback, limit_val_batches=0).fit(fixed("VAE"), mini)
    assert not (tmp_path / "run" / "images").exists()


@every
def test_the_averaged_weights_are_shown(name, trainer, mini, pictures, tmp_path):
    """With a decay of 1 the average stays at the weights of the first step."""

    def draw(*callbacks, steps):
        seed_everything(0, verbose=False)
        model = tiny(optimizer=partial(Adam, lr=0.05))
        run = trainer(*callbacks, PICTURES[name](every_n_epochs=1), limit_train_batches=steps)
        run.fit(model, mini)
        picture = pictures(name)[steps]
        rmtree(tmp_path / "run")
        return picture[80:].astype(int)  # below the title, which may take two lines

    averaged = draw(EMAWeightAveraging(decay=1.0), steps=3)
    first, last = draw(steps=1), draw(steps=3)
    assert averaged.shape == first.shape
    assert np.abs(averaged - first).max() <= 1
    assert first.shape != last.shape or np.abs(first - last).max() > 1, "nothing was learnt"


@pytest.mark.parametrize("name", ["latent_scatter", "latent_grid"])
def test_codes_that_are_no_numbers_end_no_training(name, trainer, mini):
    """It is FiniteLoss that says what to do."""
    model = fixed("AE")
    encode = model.encode
    model.encode = lambda images: encode(images) * torch.nan
    with pytest.warns(UserWarning, match="draws nothing: .* codes are NaN or infinite"):
        trainer(PICTURES[name]()).fit(model, mini)
    assert model.trainer.global_step == 2


@every
def test_a_single_validation_image_ends_no_training(name, trainer, mini):
    class OneImage(type(mini)):
        def val_dataloader(self):
            batch = next(iter(super().val_dataloader()))
            return DataLoader([Batch(*batch).first(1)], batch_size=None)

    data = OneImage(batch_size=20)
    model = fixed("AE")
    # Arithmetic, not told its terms, has none of a single class.
    silent = name in ("arithmetic", "latent_grid", "latent_scatter", "traversal")
    arguments = {"terms": None} if name == "arithmetic" else {}
    with nullcontext() if silent else pytest.warns(UserWarning, match="draws nothing"):
        trainer(PICTURES[name](**arguments)).fit(model, data)
    assert model.trainer.global_step == 2
