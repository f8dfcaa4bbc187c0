"""Corruptions: their statistics, their range, and what they leave alone."""

import math

import pytest
import torch

from lightning_gen.errors import UserError
from lightning_gen.networks import GaussianNoise, Masking, SaltAndPepper

ALL = [GaussianNoise(0.3), Masking(0.4), SaltAndPepper(0.3)]


@pytest.mark.parametrize("corruption", ALL, ids=lambda c: type(c).__name__)
def test_the_clean_images_stay_and_the_range_holds(corruption):
    images = torch.rand(8, 3, 9, 7)
    before = images.clone()
    damaged = corruption(images)
    assert torch.equal(images, before)
    assert damaged.shape == images.shape
    assert damaged.min() >= 0
    assert damaged.max() <= 1
    assert not torch.equal(damaged, images)


@pytest.mark.parametrize("corruption", ALL, ids=lambda c: type(c).__name__)
def test_the_noise_follows_the_random_state(corruption):
    images = torch.rand(4, 1, 9, 7)
    torch.manual_seed(1)
    first = corruption(images)
    torch.manual_seed(1)
    assert torch.equal(corruption(images), first)
    assert not torch.equal(corruption(images), first)


def test_gaussian_noise_has_its_standard_deviation():
    """In the middle of the range nothing is cut off; at its edge half of the noise is."""
    noise = GaussianNoise(0.05)(torch.full((20, 1, 50, 50), 0.5)) - 0.5
    assert noise.std().item() == pytest.approx(0.05, rel=0.02)
    assert abs(noise.mean().item()) < 0.001
    black = GaussianNoise(0.05)(torch.zeros(20, 1, 50, 50))
    assert black.mean().item() == pytest.approx(0.05 / math.sqrt(2 * math.pi), rel=0.02)


def test_masking_blackens_whole_pixels():
    images = torch.rand(40, 3, 50, 50) * 0.5 + 0.5
    damaged = Masking(0.4)(images)
    masked = (damaged == 0).all(dim=1)
    assert torch.equal(masked, (damaged == 0).any(dim=1))
    assert masked.float().mean().item() == pytest.approx(0.4, abs=0.01)
    kept = ~masked[:, None].expand_as(images)
    assert torch.equal(damaged[kept], images[kept])


def test_salt_and_pepper_are_equally_frequent():
    damaged = SaltAndPepper(0.3)(torch.full((40, 3, 50, 50), 0.5))
    for value in (0.0, 1.0):
        pixels = (damaged == value).all(dim=1)
        assert torch.equal(pixels, (damaged == value).any(dim=1))
        assert pixels.float().mean().item() == pytest.approx(0.15, abs=0.01)


@pytest.mark.parametrize("sigma", [0.0, -1.0, math.inf, math.nan])
def test_bad_sigma(sigma):
    with pytest.raises(UserError, match=r"GaussianNoise.sigma .* above 0, got"):
        GaussianNoise(sigma)


@pytest.mark.parametrize("kind", [Masking, SaltAndPepper])
@pytest.mark.parametrize("probability", [0.0, -0.1, 1.1, math.nan])
def test_bad_probability(kind, probability):
    with pytest.raises(UserError, match=rf"{kind.__name__}.probability .* got"):
        kind(probability)
