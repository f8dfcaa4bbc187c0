"""Scatters and arithmetic against the codes of the first validation images."""

from importlib import import_module

import numpy as np
import pytest
import torch

from lightning_gen.callbacks import Arithmetic, LatentScatter
from lightning_gen.errors import UserError
from lightning_gen.figures import scatter
from lightning_gen.views import arithmetic, encode
from support.kinds import KINDS, fixed
from support.models import batch_of


@pytest.fixture
def drawn(monkeypatch):
    """The points, labels and title of each scatter that is drawn."""
    calls = []

    def record(points, labels, names, title, axes):
        calls.append((points, labels, title))
        return scatter(points, labels, names, title, axes)

    monkeypatch.setattr(import_module("lightning_gen.views.latent_scatter"), "scatter", record)
    return calls


@torch.no_grad()
def test_the_first_codes_of_the_validation_are_drawn(trainer, mini, first, drawn):
    model = KINDS["VAE"](latent_dim=2)
    trainer(LatentScatter(num_images=30)).fit(model, mini)
    [(points, labels, title)] = drawn
    images, classes = first(30)
    torch.testing.assert_close(points, model.eval().encode(images))
    assert torch.equal(labels, classes)
    assert title == "Codes of the first 30 of 40 validation images at step 2"


@torch.no_grad()
def test_the_test_after_a_training_is_drawn(trainer, mini, first, drawn, pictures):
    model = KINDS["VAE"](latent_dim=2)
    run = trainer(LatentScatter(num_images=20), limit_test_batches=2)
    run.fit(model, mini)
    run.test(model, mini, verbose=False)
    points, labels, title = drawn[1]
    images, classes = first(20, "test")
    torch.testing.assert_close(points, model.eval().encode(images))
    assert torch.equal(labels, classes)
    assert title == "Codes of the first 20 of 40 test images at step 2"
    assert list(pictures("latent_scatter_test")) == [2]


def test_a_test_alone_draws_nothing(trainer, mini, drawn, tmp_path):
    run = trainer(LatentScatter(), limit_test_batches=1)
    run.test(fixed("VAE"), mini, verbose=False)
    assert not drawn
    assert not (tmp_path / "run" / "images").exists()


def test_a_test_of_two_images_is_drawn(trainer, mini, drawn, pictures):
    small = type(mini)(batch_size=2)
    run = trainer(LatentScatter(num_images=40), limit_test_batches=1, limit_val_batches=3)
    model = fixed("VAE")
    run.fit(model, small)
    run.test(model, small, verbose=False)
    assert list(pictures("latent_scatter_test")) == [2]


@torch.no_grad()
@pytest.mark.parametrize("terms", [None, ("Coat", "Shirt", "Bag")])
def test_mean_codes_of_classes_and_their_sum_are_decoded(terms, trainer, mini, first, pictures):
    model = fixed("AE")
    trainer(Arithmetic(terms, num_images=60), limit_val_batches=3).fit(model, mini)
    images, labels = first(60)
    codes = encode(model.eval(), batch_of(images))._replace(labels=labels)
    terms = terms or ("Pullover", "T-shirt/top", "Dress")
    view = arithmetic(model, codes, terms, mini.class_names, (), torch.device("cpu"))
    expected, found = view.pixels("at step 2"), pictures("arithmetic")[2]
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected.astype(int)).max() <= 1


def test_an_unknown_name_is_refused_before_training(trainer, mini):
    model = fixed("AE")
    with pytest.raises(UserError, match=r"got 'coat'. Did you mean Coat"):
        trainer(Arithmetic(("Dress", "coat", "Bag"))).fit(model, mini)
    assert model.trainer.global_step == 0


def test_a_validation_without_some_class_warns_and_goes_on(trainer, mini, tmp_path):
    """Two images are of two classes at most."""
    model, callback = fixed("AE"), Arithmetic(("Coat", "Dress", "Bag"), 2, every_n_epochs=2)
    words = r"Arithmetic draws nothing: there is no image of '.*' among 2\. Take more images"
    with pytest.warns(UserWarning, match=words) as caught:
        trainer(callback, max_epochs=2).fit(model, mini)
    assert len([w for w in caught if "draws nothing" in str(w.message)]) == 1
    assert model.trainer.global_step == 4
    assert not (tmp_path / "run" / "images").exists()


def test_data_of_two_classes_are_not_drawn_by_default(trainer, mini, tmp_path):
    class Two(type(mini)):
        class_names = ("a", "b")

    trainer(Arithmetic()).fit(fixed("AE"), Two(batch_size=20))
    assert not (tmp_path / "run" / "images").exists()
