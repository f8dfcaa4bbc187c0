"""Reconstructions and denoised images of the first validation images."""

import math

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningModule

from lightning_gen.callbacks import Denoising, Reconstructions
from lightning_gen.data import MiniFashionMNIST
from lightning_gen.figures.grid import image_rows
from lightning_gen.models import AE
from lightning_gen.networks import GaussianNoise, Masking
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


class GreyDenoiser(LightningModule):
    """Answers every image with a uniform grey; its corruption paints everything black."""

    def __init__(self):
        super().__init__()
        self.unused = torch.nn.Parameter(torch.zeros(()))

    def corrupt(self, images):
        return torch.zeros_like(images)

    def reconstruct(self, images):
        return torch.full_like(images, 0.5)

    def validation_step(self, batch, batch_idx):
        pass

    test_step = validation_step


def test_errors_are_those_of_the_whole_split(trainer, mini):
    """All 1,000 validation images in batches of 20, by hand in one sum."""
    source = mini.splits["val"].source
    images = source[mini.splits["val"].indices].images.double() / 255
    black, grey = images.square().mean().item(), (images - 0.5).square().mean().item()
    fit = trainer(Denoising(), limit_val_batches=1.0)
    [logged] = fit.validate(GreyDenoiser(), mini, verbose=False)
    assert logged == pytest.approx(
        {
            "val/noisy_mse": black,
            "val/noisy_psnr": -10 * math.log10(black),
            "val/denoised_mse": grey,
            "val/denoised_psnr": -10 * math.log10(grey),
        },
        rel=1e-5,
    )


def test_the_test_split_is_measured_too(trainer, mini):
    mini.setup("test")
    images = mini.splits["test"].source.images.double() / 255
    [logged] = trainer(Denoising()).test(GreyDenoiser(), mini, verbose=False)
    assert logged["test/noisy_mse"] == pytest.approx(images.square().mean().item(), rel=1e-5)


def test_a_perfect_image_has_no_noise():
    from lightning_gen.callbacks.first_images import psnr

    assert psnr(0.0) == math.inf
    assert psnr(0.01) == pytest.approx(20)


def test_the_noise_is_the_same_each_time(trainer, mini):
    model = frozen(AE, corruption=GaussianNoise(0.3))
    fits = trainer(Denoising(), limit_val_batches=3)
    first, second = (fits.validate(model, mini, verbose=False) for _ in range(2))
    assert first == second


def test_noisy_denoised_clean(trainer, mini, first, pictures):
    model = frozen(AE, corruption=Masking(0.5))
    trainer(Denoising(num_images=5)).fit(model, mini)
    clean, _ = first(5)
    torch.manual_seed(0)
    noisy = model.corrupt(clean)
    rows = {"noisy": noisy, "denoised": model.reconstruct(noisy), "clean": clean}
    expected = image_rows(rows, "Denoising of validation images at step 2")
    np.testing.assert_array_equal(pictures("denoising")[2], expected)


def test_what_a_killed_run_left_out_is_drawn_without_a_validation(
    trainer, mini, pictures, tmp_path
):
    model = frozen(AE, corruption=Masking(0.5))
    run = trainer(logger=False)
    run.fit(model, mini)
    run.save_checkpoint(tmp_path / "x.ckpt")
    trainer(Denoising(num_images=5)).fit(model, mini, ckpt_path=tmp_path / "x.ckpt")
    assert list(pictures("denoising")) == [2]
