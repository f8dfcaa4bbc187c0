import math

import pytest
import torch
from lightning.pytorch import LightningModule

from lightning_gen.callbacks import DenoisingQuality
from lightning_gen.callbacks.denoising_quality import psnr
from lightning_gen.models import AE
from lightning_gen.networks import GaussianNoise
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
    source = mini.splits["val"].source
    images = source[mini.splits["val"].indices].images.double() / 255
    black, grey = images.square().mean().item(), (images - 0.5).square().mean().item()
    fit = trainer(DenoisingQuality(), limit_val_batches=1.0)
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
    [logged] = trainer(DenoisingQuality()).test(GreyDenoiser(), mini, verbose=False)
    assert logged["test/noisy_mse"] == pytest.approx(images.square().mean().item(), rel=1e-5)


def test_a_perfect_image_has_no_noise():
    assert psnr(0.0) == math.inf
    assert psnr(0.01) == pytest.approx(20)


def test_the_noise_is_the_same_each_time(trainer, mini):
    model = frozen(AE, corruption=GaussianNoise(0.3))
    fits = trainer(DenoisingQuality(), limit_val_batches=3)
    first, second = (fits.validate(model, mini, verbose=False) for _ in range(2))
    assert first == second
