from importlib import import_module

import pytest
import torch

from lightning_gen.callbacks import LatentScatter
from lightning_gen.errors import UserError
from lightning_gen.figures import scatter
from support.kinds import KINDS, fixed


@pytest.fixture
def drawn(monkeypatch):
    """The points, labels and title of each scatter that is drawn."""
    calls = []

    def record(points, labels, names, title, axes):
        calls.append((points, labels, title))
        return scatter(points, labels, names, title, axes)

    monkeypatch.setattr(import_module("lightning_gen.views.latent_scatter"), "scatter", record)
    return calls


def images_of(mini, split, count):
    source, indices = mini._splits[split]
    return source.images[indices[:count]].float() / 255, source.labels[indices[:count]]


@torch.no_grad()
def test_the_first_codes_of_the_validation_are_drawn(trainer, mini, drawn):
    model = KINDS["VAE"](latent_dim=2)
    trainer(LatentScatter(num_images=30)).fit(model, mini)
    [(points, labels, title)] = drawn
    images, classes = images_of(mini, "val", 30)
    torch.testing.assert_close(points, model.eval().encode(images))
    assert torch.equal(labels, classes)
    assert title == "Codes of the first 30 of 40 validation images at step 2"


def test_where_all_images_are_drawn_the_title_counts_them(trainer, mini, drawn):
    trainer(LatentScatter(num_images=40)).fit(fixed("VAE"), mini)
    assert drawn[0][2] == "Codes of 40 validation images at step 2"


@torch.no_grad()
def test_the_test_after_a_training_is_drawn(trainer, mini, drawn, pictures):
    model = KINDS["VAE"](latent_dim=2)
    run = trainer(LatentScatter(num_images=20), limit_test_batches=2)
    run.fit(model, mini)
    run.test(model, mini, verbose=False)
    points, labels, title = drawn[1]
    images, classes = images_of(mini, "test", 20)
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


def test_bad_numbers():
    with pytest.raises(UserError, match=r"LatentScatter.num_images is at least 2, got 1"):
        LatentScatter(num_images=1)
