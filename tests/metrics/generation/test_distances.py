from functools import partial

import numpy as np
import pytest
import scipy.linalg
import torch
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, kid_features_to_metric

from lightning_gen.metrics.generation import FrechetDistance, KernelDistance, kernel_distance
from support.refusals import assert_refused
from support.scores import shown


def updated(make, real, generated, batch_size=64, **arguments):
    return shown(make(**arguments), real, generated, batch_size)


def frechet(real, generated, **arguments):
    return updated(FrechetDistance, real, generated, feature_dim=real.shape[1], **arguments)


kernel_of = partial(updated, KernelDistance)
each = pytest.mark.parametrize("distance", [frechet, kernel_of], ids=["frechet", "kernel"])


@each
@pytest.mark.parametrize("groups", [5, 9])
def test_the_standard_error_is_that_of_leaving_each_group_out(distance, groups):
    """The distances themselves agree with references; 9 images are groups of one by default."""
    sizes = (53, 41) if groups == 5 else (9, 9)
    real, generated = torch.randn(sizes[0], 4), 0.5 + torch.randn(sizes[1], 4)
    variance = torch.zeros(()).double()
    for side, features in enumerate((real, generated)):
        scores = []
        for group in range(groups):
            kept = features[torch.arange(len(features)) % groups != group]
            pair = (kept, generated) if side == 0 else (real, kept)
            scores.append(distance(*pair, groups=0).compute().value)
        variance += (groups - 1) * torch.stack(scores).double().var(correction=0)
    chosen = {} if groups == 9 else {"groups": 5}
    found = distance(real, generated, **chosen).compute()
    assert found.standard_error.item() == pytest.approx(variance.sqrt().item(), rel=1e-6)


@each
@pytest.mark.parametrize("sizes", [(1, 10), (10, 1)])
def test_too_few_images_are_refused(distance, sizes):
    metric = distance(*(torch.randn(size, 3) for size in sizes), groups=0)
    words = f"2 or more real and generated images, got {sizes[0]} real and {sizes[1]} generated"
    assert_refused(words, metric.compute)


@each
def test_other_widths_and_nan_and_one_group_are_refused(distance):
    metric = distance(torch.zeros(3, 4), torch.zeros(3, 4))
    other = torch.zeros(2, 5)
    assert_refused("needs 4 features an image, as before, got 5", metric.update, other, real=True)
    assert_refused("finite", metric.update, torch.full((2, 4), torch.nan), real=True)
    assert_refused("got 1", distance, torch.zeros(3, 4), torch.zeros(3, 4), groups=1)


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


def test_frechet_agrees_with_scipy_and_torch_fidelity():
    real, generated = correlated(200, 1, 0), correlated(150, 1.3, 0.2)
    value = frechet(real, generated).compute().value.item()
    assert value == pytest.approx(by_scipy(real, generated), rel=1e-8)
    assert value == pytest.approx(by_torch_fidelity(real, generated), rel=1e-8)


def test_fewer_images_than_features_agree_with_torch_fidelity():
    real, generated = torch.randn(30, 50), 0.3 + 1.2 * torch.randn(20, 50)
    value, error = frechet(real, generated).compute()
    # torch-fidelity's eigenvalues of 1e-15 have roots of 3e-8, of either sign
    assert value.item() == pytest.approx(by_torch_fidelity(real, generated), rel=1e-5)
    assert error.isfinite()


@pytest.mark.parametrize("images", [2, 5])
def test_equal_images_are_at_distance_zero(images):
    features = torch.randn(images, 10)
    assert 0 <= frechet(features, features, groups=0).compute().value < 1e-5


def test_constant_features_leave_the_distance_of_the_means():
    value, error = frechet(torch.zeros(20, 4), torch.full((20, 4), 0.5)).compute()
    assert value.item() == pytest.approx(1)
    assert error.item() == pytest.approx(0, abs=1e-6)


def test_a_large_common_offset_changes_no_frechet_distance():
    real, generated = torch.randn(300, 6) / 8, 0.1 + torch.randn(300, 6) / 4
    shifted = 1000 + real, 1000 + generated
    exact = tuple(features.double() - 1000 for features in shifted)
    assert not torch.equal(exact[0].float(), real)
    value = frechet(*shifted).compute().value
    assert value.item() == pytest.approx(by_scipy(*exact), rel=1e-6)


def test_reconstructions_are_left_out_with_their_images():
    real = correlated(60, 1, 0)
    reconstructions, generated = 0.8 * real + 0.1 * torch.randn(60, 6), correlated(50, 1, 1)
    paired = frechet(real, reconstructions, batch_size=7, groups=5, paired=True)
    samples = frechet(real, generated, batch_size=7, groups=5)
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


@each
def test_without_groups_there_is_no_standard_error(distance):
    real, generated = correlated(50, 1, 0), correlated(50, 1, 1)
    value, error = distance(real, generated, groups=0).compute()
    assert value.item() == pytest.approx(distance(real, generated).compute().value.item())
    assert error.isnan()


def by_definition(real, generated, dtype=np.float64):
    """The unbiased estimate with the whole matrices in memory."""
    x, y = real.numpy().astype(dtype), generated.numpy().astype(dtype)

    def kernel(a, b):
        return (a @ b.T / dtype(a.shape[1]) + 1) ** 3

    def within(a):
        gram = kernel(a, a)
        return (gram.sum() - np.trace(gram)) / dtype(len(a) * (len(a) - 1))

    return within(x) + within(y) - 2 * kernel(x, y).mean()


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(kernel_distance, "BLOCK", 17)


@pytest.mark.usefixtures("small_blocks")
def test_kernel_agrees_with_torch_fidelity_on_all_pairs():
    real, generated = torch.randn(100, 16), 0.2 + 1.1 * torch.randn(100, 16)
    reference = kid_features_to_metric(
        generated.double(), real.double(), kid_subsets=1, kid_subset_size=100, verbose=False
    )
    value = kernel_of(real, generated).compute().value.item()
    assert value == pytest.approx(reference[KEY_METRIC_KID_MEAN], rel=1e-9)


@pytest.mark.usefixtures("small_blocks")
def test_sets_of_different_sizes_agree_with_the_definition():
    real, generated = torch.randn(90, 5), 0.2 + torch.randn(51, 5)
    value = kernel_of(real, generated).compute().value
    assert value.item() == pytest.approx(by_definition(real, generated), rel=1e-9)


def test_a_large_common_offset_leaves_the_kernel_distance_right():
    real, generated = 1000 + torch.randn(60, 8) / 8, 1000.1 + torch.randn(60, 8) / 8
    expected = by_definition(real, generated, dtype=np.longdouble)
    assert kernel_of(real, generated).compute().value.item() == pytest.approx(float(expected), 1e-6)
