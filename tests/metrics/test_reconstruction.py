import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torchmetrics.image import PeakSignalNoiseRatio

from lightning_gen.metrics import BCE, MSE, PSNR, SSIM
from support.scores import updated


@pytest.fixture
def pairs():
    images = torch.rand(20, 3, 16, 18)
    return (images + 0.1 * torch.randn_like(images)).clamp(0, 1), images


def measured(metric, *pair):
    return updated(metric, *pair, batch_size=7).compute()


def test_mse_is_that_of_all_pixels(pairs):
    assert measured(MSE(), *pairs).value.item() == pytest.approx(F.mse_loss(*pairs).item())


def test_psnr_is_the_mean_of_each_images(pairs):
    theirs = PeakSignalNoiseRatio(data_range=1.0, dim=(1, 2, 3), reduction="elementwise_mean")
    assert measured(PSNR(), *pairs).value.item() == pytest.approx(theirs(*pairs).item(), rel=1e-5)


def test_an_exact_reconstruction_of_a_smallest_image_is_finite():
    images = torch.rand(1, 1, 11, 11)
    assert measured(PSNR(), images, images).value == 100
    assert measured(SSIM(), images, images).value.item() == pytest.approx(1)
    assert measured(MSE(), images, images).value == 0


def ssim_by_a_loop(x, y):
    """The mean over all places of the window that lie within the image (Wang et al. 2004)."""
    profile = np.exp(-((np.arange(11) - 5) ** 2) / (2 * 1.5**2))
    weights = np.outer(profile, profile) / profile.sum() ** 2
    places = []
    for i, j in np.ndindex(x.shape[0] - 10, x.shape[1] - 10):
        a, b = x[i : i + 11, j : j + 11], y[i : i + 11, j : j + 11]
        mean_a, mean_b = (weights * a).sum(), (weights * b).sum()
        var_a, var_b = (weights * (a - mean_a) ** 2).sum(), (weights * (b - mean_b) ** 2).sum()
        both = (weights * (a - mean_a) * (b - mean_b)).sum()
        top = (2 * mean_a * mean_b + 1e-4) * (2 * both + 9e-4)
        places.append(top / ((mean_a**2 + mean_b**2 + 1e-4) * (var_a + var_b + 9e-4)))
    return np.mean(places)


def test_ssim_is_that_of_windows_within_the_image(pairs):
    found = SSIM.of(*pairs)
    x, y = (images.double().numpy() for images in pairs)
    for n in (0, 7):
        expected = np.mean([ssim_by_a_loop(x[n, c], y[n, c]) for c in range(3)])
        assert found[n].item() == pytest.approx(expected, abs=1e-9)
    assert measured(SSIM(), *pairs).value.item() == pytest.approx(found.mean().item())


def test_bce_is_that_of_all_pixels(pairs):
    reconstructions, images = (0.01 + 0.98 * part for part in pairs)
    expected = F.binary_cross_entropy(reconstructions, images).item()
    assert measured(BCE(), reconstructions, images).value.item() == pytest.approx(expected)


def test_bce_of_a_certain_error_is_finite():
    assert measured(BCE(), torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2)).value == 100


@pytest.mark.parametrize("metric", [MSE(), PSNR(), SSIM(), BCE()])
def test_the_standard_error_is_that_of_the_images(metric, pairs):
    values = metric.of(*pairs)
    expected = values.double().std() / math.sqrt(len(values))
    assert measured(metric, *pairs).standard_error.item() == pytest.approx(expected.item())


@pytest.mark.parametrize("metric", [MSE, PSNR, SSIM, BCE])
def test_no_metric_is_of_half_precision(metric, pairs):
    plain = measured(metric(), *pairs)
    with torch.autocast("cpu", torch.bfloat16):
        assert measured(metric(), *pairs) == plain
