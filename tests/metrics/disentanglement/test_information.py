import math

import numpy as np
import pytest
import torch
from scipy.stats import entropy as scipy_entropy
from sklearn.metrics import mutual_info_score
from torch.distributions import MultivariateNormal, kl_divergence

from lightning_gen.errors import UserError
from lightning_gen.metrics.disentanglement import (
    MIG,
    GaussianTotalCorrelation,
    Modularity,
    gaussian_total_correlation,
)
from lightning_gen.metrics.disentanglement.information import equal_width_bins, information_of_pairs


def binned_by_numpy(codes, bins):
    columns = []
    for column in codes.double().numpy().T:
        _, edges = np.histogram(column, bins)
        columns.append(np.digitize(column, edges[:-1]) - 1)
    return np.stack(columns, axis=1)


def information_by_sklearn(codes, factors, bins):
    binned = binned_by_numpy(codes, bins)
    return np.array([[mutual_info_score(z, v) for v in factors.numpy().T] for z in binned.T])


def test_a_constant_dimension_has_exactly_no_information(factors):
    assert information_of_pairs(equal_width_bins(torch.ones(2000, 1), 20), factors).sum() == 0


@pytest.mark.parametrize("bins", [5, 20])
def test_mig_agrees_with_a_loop(noisy, factors, bins):
    information = information_by_sklearn(noisy, factors, bins)
    gaps = []
    for k, column in enumerate(factors.numpy().T):
        best, second = sorted(information[:, k], reverse=True)[:2]
        gaps.append((best - second) / scipy_entropy(np.bincount(column)))
    expected = pytest.approx(np.mean(gaps), abs=1e-12)
    metric = MIG(bins)
    assert metric.score(noisy, factors).item() == expected
    metric.update(noisy, factors)
    assert metric.compute().value.item() == expected


def modularity_by_a_loop(information):
    scores = []
    for row in information:
        best = int(np.argmax(row))
        others = sum(row[k] ** 2 for k in range(len(row)) if k != best)
        scores.append(1 - others / (row[best] ** 2 * (len(row) - 1)))
    return np.mean(scores)


def test_published_modularity_agrees_with_a_loop(noisy, factors):
    expected = modularity_by_a_loop(information_by_sklearn(noisy, factors, 20))
    assert Modularity(shuffles=0).score(noisy, factors).item() == pytest.approx(expected)


def test_modularity_counts_what_is_beyond_chance(noisy, factors):
    informative = information_by_sklearn(noisy, factors, 20)[:3]
    kept = np.where(informative > 0.05, informative, 0)  # chance is below, and nothing is between
    assert not ((informative > 0.03) & (informative < 0.06)).any()
    assert (kept == 0).any()
    expected = modularity_by_a_loop(kept)
    assert Modularity().score(noisy, factors).item() == pytest.approx(expected)


def test_total_correlation_is_the_kl_to_the_product_of_marginals():
    codes = torch.randn(300, 5).double() @ torch.randn(5, 5).double()
    mean, covariance = codes.mean(dim=0), codes.T.cov()
    joint = MultivariateNormal(mean, covariance)
    apart = MultivariateNormal(mean, covariance.diag().diag())
    found = gaussian_total_correlation(codes)
    torch.testing.assert_close(found, kl_divergence(joint, apart))
    assert found > 0.5


def test_total_correlation_of_a_known_correlation():
    first, second = torch.randn(2, 200_000)
    codes = torch.stack([1000 + first, 0.01 * (0.6 * first + 0.8 * second)], dim=1)
    found = gaussian_total_correlation(codes)
    assert found.item() == pytest.approx(-0.5 * math.log(1 - 0.6**2), abs=0.005)


def test_constant_dimensions_are_left_out_of_total_correlation():
    codes = torch.randn(200, 3)
    with_constant = torch.cat([codes, torch.ones(200, 2)], dim=1)
    assert gaussian_total_correlation(with_constant) == gaussian_total_correlation(codes)
    assert gaussian_total_correlation(torch.ones(200, 2)) == 0


def test_total_correlation_needs_no_factors():
    codes = torch.randn(200, 3) @ torch.randn(3, 3)
    with_factors, without = GaussianTotalCorrelation(), GaussianTotalCorrelation()
    with_factors.update(codes, torch.zeros(200, 2))
    without.update(codes)
    expected = gaussian_total_correlation(codes).item()
    assert with_factors.compute().value.item() == pytest.approx(expected)
    assert without.compute().value.item() == pytest.approx(expected)
    assert 0 < without.compute().standard_error < expected


def test_more_dimensions_than_images_are_refused():
    with pytest.raises(UserError, match="more images than dimensions, got 100 images of 100"):
        gaussian_total_correlation(torch.randn(100, 100))
