import numpy as np
import pytest
import torch
from sklearn.svm import LinearSVC

from lightning_gen.metrics.disentanglement import SAP, attribute_predictability_gap


def gap_by_a_loop(codes, factors, num_train):
    gaps = []
    for y in factors.numpy().T:
        accuracies = []
        for x in codes.double().numpy().T:
            model = LinearSVC(C=0.01, class_weight="balanced")
            model.fit(x[:num_train, None], y[:num_train])
            predicted = model.predict(x[num_train:, None])
            accuracies.append(np.mean(predicted == y[num_train:]))
        best, second = sorted(accuracies)[:-3:-1]
        gaps.append(best - second)
    return np.mean(gaps)


def test_sap_agrees_with_a_loop(noisy, factors):
    expected = gap_by_a_loop(noisy, factors, 1000)
    assert expected > 0.05
    assert attribute_predictability_gap(noisy, factors, 1000).item() == pytest.approx(expected)


def test_a_third_of_the_images_is_kept_for_the_test(noisy, factors):
    found = attribute_predictability_gap(noisy[:300], factors[:300])
    assert found.item() == pytest.approx(gap_by_a_loop(noisy[:300], factors[:300], 200))


def test_an_only_dimension_is_compared_with_guessing():
    factors = torch.randint(2, (2000, 1))
    metric = SAP()
    metric.update(2.0 * factors, factors)
    assert metric.compute().value.item() == pytest.approx(0.5, abs=0.05)
