import numpy as np
import pytest
import scipy.linalg
import torch
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

from lightning_gen.metrics.generation import FrechetDistance


def updated(real, generated, batch_size=64, **arguments):
    metric = FrechetDistance(real.shape[1], **arguments)
    for part in real.split(batch_size):
        metric.update(part, real=True)
    for part in generated.split(batch_size):
        metric.update(part, real=False)
    return metric


def correlated(images, scale, shift):
    mixing = torch.randn(6, 6, generator=torch.Generator().manual_seed(1)) + torch.eye(6)
    return scale * torch.randn(images, 6) @ mixing + shift


def by_scipy(real, generated):
    x, y = real.double().numpy(), generated.double().numpy()
    of_x, of_y = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    root = scipy.linalg.sqrtm(of_x @ of_y)
    shift = np.square(x.mean(axis=0) - y.mean(axis=0)).sum()
    return shift + np.trace(of_x + of_y - 2 * root.real)


def by_torch_fidelity(real, generated):
    statistics = [fid_features_to_statistics(part.double()) for part in (real, generated)]
    return fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]


def test_large_samples_reach_the_closed_form_of_their_gaussians():
    # Diagonal: sum (m1 - m2)^2 + (s1 - s2)^2 = 8 (0.25 + 0.25). The spread at N = 100,000 is 0.02.
    real, generated = torch.randn(100_000, 8), 0.5 + 1.5 * torch.randn(100_000, 8)
    value, error = updated(real, generated, batch_size=5000).compute()
    assert value.item() == pytest.approx(4, abs=0.06)
    assert 0.005 < error < 0.03


def test_agrees_with_scipy_and_torch_fidelity():
    real, generated = correlated(200, 1, 0), correlated(150, 1.3, 0.2)
    value = updated(real, generated).compute().value.item()
    assert value == pytest.approx(by_scipy(real, generated), rel=1e-8)
    assert value == pytest.approx(by_torch_fidelity(real, generated), rel=1e-8)


def test_fewer_images_than_features_agree_with_torch_fidelity():
    real, generated = torch.randn(30, 50), 0.3 + 1.2 * torch.randn(20, 50)
    value, error = updated(real, generated).compute()
    # torch-fidelity's eigenvalues of 1e-15 have roots of 3e-8, of either sign
    assert value.item() == pytest.approx(by_torch_fidelity(real, generated), rel=1e-5)
    assert error.isfinite()


@pytest.mark.parametrize("images", [2, 5])
def test_equal_images_are_at_distance_zero(images):
    features = torch.randn(images, 10)
    assert 0 <= updated(features, features, groups=0).compute().value < 1e-5


def test_constant_features_leave_the_distance_of_the_means():
    value, error = updated(torch.zeros(20, 4), torch.full((20, 4), 0.5)).compute()
    assert value.item() == pytest.approx(1)
    assert error.item() == pytest.approx(0, abs=1e-6)


def test_a_large_common_offset_changes_nothing():
    real, generated = torch.randn(300, 6) / 8, 0.1 + torch.randn(300, 6) / 4
    shifted = 1000 + real, 1000 + generated
    exact = tuple(features.double() - 1000 for features in shifted)
    assert not torch.equal(exact[0].float(), real)
    value = updated(*shifted).compute().value
    assert value.item() == pytest.approx(by_scipy(*exact), rel=1e-6)


def test_reconstructions_are_left_out_with_their_images():
    real = correlated(60, 1, 0)
    reconstructions, generated = 0.8 * real + 0.1 * torch.randn(60, 6), correlated(50, 1, 1)
    paired = updated(real, reconstructions, batch_size=7, groups=5, paired=True)
    samples = updated(real, generated, batch_size=7, groups=5)
    kept = [torch.arange(60) % 5 != group for group in range(5)]
    of_pairs = [by_scipy(real[part], reconstructions[part]) for part in kept]
    of_real = [by_scipy(real[part], generated) for part in kept]
    of_generated = [by_scipy(real, generated[torch.arange(50) % 5 != g]) for g in range(5)]
    error = paired.compute().standard_error.item()
    assert error == pytest.approx(2 * np.std(of_pairs), rel=1e-6)
    gap = samples.gap(paired)
    expected = by_scipy(real, generated) - by_scipy(real, reconstructions)
    assert gap.value.item() == pytest.approx(expected, rel=1e-6)
    variance = 4 * (np.var(np.subtract(of_real, of_pairs)) + np.var(of_generated))
    assert gap.standard_error.item() == pytest.approx(variance**0.5, rel=1e-6)


def test_without_groups_there_is_no_standard_error():
    real, generated = correlated(50, 1, 0), correlated(50, 1, 1)
    value, error = updated(real, generated, groups=0).compute()
    assert value.item() == pytest.approx(by_scipy(real, generated))
    assert error.isnan()
