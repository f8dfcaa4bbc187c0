"""Mutual information and what is made of it, against scikit-learn and plain loops."""

import numpy as np
import pytest
import torch
from scipy.stats import entropy as scipy_entropy
from sklearn.metrics import mutual_info_score

from lightning_gen.metrics.disentanglement import MIG, Modularity
from lightning_gen.metrics.disentanglement.information import (
    equal_width_bins,
    information_of_pairs,
    modularity_of,
)


def binned_by_numpy(codes, bins):
    columns = []
    for column in codes.double().numpy().T:
        _, edges = np.histogram(column, bins)
        columns.append(np.digitize(column, edges[:-1]) - 1)
    return np.stack(columns, axis=1)


def information_by_sklearn(codes, factors, bins):
    binned = binned_by_numpy(codes, bins)
    return np.array([[mutual_info_score(z, v) for v in factors.numpy().T] for z in binned.T])


def test_information_agrees_with_sklearn(noisy, factors):
    expected = information_by_sklearn(noisy, factors, 20)
    found = information_of_pairs(equal_width_bins(noisy, 20), factors)
    np.testing.assert_allclose(found, expected, atol=1e-12)


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


def test_dimensions_without_information_are_left_out_of_modularity():
    information = torch.tensor([[2.0, 1.0, 0.0], [0.0, 0.0, 0.0]]).double()
    assert modularity_of(information).item() == pytest.approx(1 - 1 / 4 / 2)
    assert modularity_of(information[1:]) == 0
