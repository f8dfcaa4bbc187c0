import math

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningModule

from lightning_gen.callbacks import Denoising
from lightning_gen.figures import image_rows
from lightning_gen.models import AE, StackedDAE
from lightning_gen.networks import GaussianNoise, Masking
from support.models import frozen


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
    source = mini._splits["val"].source
    images = source[mini._splits["val"].indices].images.double() / 255
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
    images = mini._splits["test"].source.images.double() / 255
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


def test_only_training_sees_the_noise(trainer, mini):
    """Validation is that of a model without a corruption; training is not."""
    seen = {}

    class Recorder(StackedDAE):
        def terms(self, batch, inputs, training_step=None):
            stage = "train" if self.trainer.training else "val"
            seen[stage] = torch.equal(inputs, batch.images)
            return super().terms(batch, inputs, training_step)

    trainer().fit(Recorder((1, 28, 28)), mini)
    assert seen == {"train": False, "val": True}
