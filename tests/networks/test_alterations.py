import math

import pytest
import torch
import torch.nn.functional as F

from lightning_gen.networks import GaussianNoise, Masking, SaltAndPepper
from lightning_gen.networks.classifier import ConvClassifier, flipped, shifted
from support.refusals import assert_refused

ALL = [GaussianNoise(0.3), Masking(0.4), SaltAndPepper(0.3)]


@pytest.mark.parametrize("corruption", ALL, ids=lambda c: type(c).__name__)
def test_the_clean_images_stay_and_the_range_holds(corruption):
    images = torch.rand(8, 3, 9, 7)
    before = images.clone()
    damaged = corruption(images)
    assert not torch.equal(corruption(images), damaged)
    torch.manual_seed(0)
    damaged = corruption(images)
    torch.manual_seed(0)
    assert torch.equal(corruption(images), damaged)
    assert torch.equal(images, before)
    assert damaged.shape == images.shape
    assert 0 <= damaged.min() <= damaged.max() <= 1
    assert not torch.equal(damaged, images)


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


@pytest.mark.parametrize(
    ("kind", "name", "values"),
    [
        (GaussianNoise, "sigma .* above 0,", [0.0, -1.0, math.inf, math.nan]),
        (Masking, "probability", [0.0, -0.1, 1.1, math.nan]),
        (SaltAndPepper, "probability", [0.0, -0.1, 1.1, math.nan]),
    ],
)
def test_bad_arguments(kind, name, values):
    for value in values:
        assert_refused(rf"{kind.__name__}\.{name} .*got {value}", kind, value)


def all_shifts(image, reach):
    """The image moved by each offset, cut one at a time out of its padded self."""
    _, height, width = image.shape
    padded = F.pad(image, (reach,) * 4)
    offsets = range(2 * reach + 1)
    return torch.stack([padded[:, y : y + height, x : x + width] for y in offsets for x in offsets])


@pytest.mark.parametrize(("shape", "reach"), [((1, 8, 8), 1), ((3, 7, 10), 2)])
def test_each_image_is_shifted_whole_by_an_offset_of_its_own(shape, reach):
    images = torch.rand(400, *shape)
    numbers = []
    for image, result in zip(images, shifted(images, reach), strict=True):
        fits = (all_shifts(image, reach) == result).flatten(1).all(dim=1)
        assert fits.sum() == 1
        numbers.append(fits.int().argmax().item())
    assert set(numbers) == set(range((2 * reach + 1) ** 2))


def test_every_offset_is_as_likely():
    images = torch.rand(1, 1, 4, 4).expand(9000, -1, -1, -1)
    moved = shifted(images, 1)
    counts = [(moved == kind).flatten(1).all(dim=1).sum() for kind in all_shifts(images[0], 1)]
    assert sum(counts) == 9000
    assert all(850 < count < 1150 for count in counts)  # 1000, and 5 standard deviations


def test_a_reach_beyond_the_image_can_empty_it_and_none_leaves_it():
    images = torch.ones(500, 1, 2, 3)
    assert torch.equal(shifted(images, 0), images)
    moved = shifted(images, 4)
    assert moved.shape == images.shape
    assert (moved.sum(dim=(1, 2, 3)) == 0).any()


def test_half_of_the_images_are_mirrored_left_to_right():
    images = torch.rand(1000, 3, 4, 5)
    results = flipped(images)
    mirrors = torch.from_numpy(images.numpy()[..., ::-1].copy())
    same = (results == images).flatten(1).all(dim=1)
    mirrored = (results == mirrors).flatten(1).all(dim=1)
    assert torch.equal(same, ~mirrored)
    assert 420 < mirrored.sum() < 580


@pytest.mark.parametrize("image_shape", [(1, 1, 1), (3, 33, 20), (2, 1, 7)])
@pytest.mark.parametrize("widths", [(2,), (5, 1, 3, 4)])
def test_any_size_gives_features_and_logits(image_shape, widths):
    network = ConvClassifier(image_shape, 5, widths)
    images = torch.rand(3, *image_shape)
    logits = network(images)
    logits.square().sum().backward()
    assert network.features(images).shape == (3, widths[-1])
    assert logits.shape == (3, 5)
    assert all(torch.isfinite(p.grad).all() for p in network.parameters())
