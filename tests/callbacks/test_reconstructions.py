import numpy as np
import pytest
import torch

from lightning_gen.callbacks import Reconstructions
from lightning_gen.data import MiniFashionMNIST
from lightning_gen.figures import image_rows
from support.models import frozen


def expected(model, originals, split, step):
    with torch.no_grad():
        rows = {"original": originals, "reconstruction": model.eval().reconstruct(originals)}
    return image_rows(rows, f"Reconstructions of {split} images at step {step}")


@pytest.mark.parametrize("count", [16, 25])
def test_the_first_validation_images_are_drawn(count, trainer, mini, first, pictures):
    """25 images take more than one batch of 20."""
    model = frozen()
    trainer(Reconstructions(num_images=count), max_epochs=2).fit(model, mini)
    found = pictures("reconstructions")
    assert list(found) == [2, 4]
    originals = first(count)[0]
    for step, picture in found.items():
        np.testing.assert_array_equal(picture, expected(model, originals, "validation", step))


@pytest.mark.filterwarnings("ignore:Total length of `list` across ranks is zero")
def test_without_validation_the_images_come_from_training(trainer, pictures):
    model, data = frozen(), MiniFashionMNIST(batch_size=20, val_fraction=0.0)
    trainer(Reconstructions(num_images=5), max_epochs=2).fit(model, data)
    found = pictures("reconstructions")
    images = next(iter(data.train_dataloader())).images[:5].float() / 255
    np.testing.assert_array_equal(found[2], expected(model, images, "training", 2))
    np.testing.assert_array_equal(found[4], expected(model, images, "training", 4))


def test_images_of_an_earlier_fit_are_forgotten(trainer, mini, pictures):
    callback, model = Reconstructions(num_images=5), frozen()
    trainer(callback, logger=False).fit(model, mini)
    trainer(callback, limit_val_batches=0).fit(model, mini)
    images = next(iter(mini.train_dataloader())).images[:5].float() / 255
    drawn = pictures("reconstructions")[2]
    np.testing.assert_array_equal(drawn, expected(model, images, "training", 2))


def test_the_sanity_check_gives_images_before_the_first_validation(trainer, mini, first, pictures):
    model = frozen()
    run = trainer(Reconstructions(5), check_val_every_n_epoch=9, num_sanity_val_steps=1)
    run.fit(model, mini)
    drawn = pictures("reconstructions")[2]
    np.testing.assert_array_equal(drawn, expected(model, first(5)[0], "validation", 2))
