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


@pytest.mark.parametrize(("split", "verb"), [("val", "validate"), ("test", "test")])
def test_errors_are_those_of_the_whole_split(split, verb, trainer, mini):
    images = torch.cat([batch.images for batch in mini.in_order(split)]).double() / 255
    run = trainer(DenoisingQuality(), limit_val_batches=1.0)
    [logged] = getattr(run, verb)(GreyDenoiser(), mini, verbose=False)
    assert len(logged) == 4
    for name, made in (("noisy", torch.zeros(())), ("denoised", torch.tensor(0.5))):
        mse = (images - made).square().mean().item()
        assert logged[f"{split}/{name}_mse"] == pytest.approx(mse, rel=1e-5)
        assert logged[f"{split}/{name}_psnr"] == pytest.approx(-10 * math.log10(mse), rel=1e-5)


def test_a_perfect_image_has_no_noise():
    assert psnr(0.0) == math.inf
    assert psnr(0.01) == pytest.approx(20)


def test_the_noise_is_the_same_each_time(trainer, mini):
    model = frozen(AE, corruption=GaussianNoise(0.3))
    fits = trainer(DenoisingQuality(), limit_val_batches=3)
    first, second = (fits.validate(model, mini, verbose=False) for _ in range(2))
    assert first == second
