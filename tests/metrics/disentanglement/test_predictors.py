import numpy as np
import pytest
import torch
from scipy.stats import entropy
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.svm import LinearSVC

from lightning_gen.metrics.disentanglement import DCI, SAP
from lightning_gen.metrics.disentanglement.predictors import disentanglement


def concentration_by_a_loop(importance):
    """Weighted mean over rows of 1 - entropy."""
    rows = [row for row in importance.numpy() if row.sum() > 0]
    scores = [row.sum() * (1 - entropy(row, base=len(row))) for row in rows]
    return sum(scores) / importance.sum().item()


@pytest.mark.parametrize("unused", [0, 2])
def test_disentanglement_and_completeness_agree_with_scipy(unused):
    importance = torch.rand(6, 4).double() ** 3
    importance[:unused] = 0
    found = disentanglement(importance), disentanglement(importance.T)
    expected = concentration_by_a_loop(importance), concentration_by_a_loop(importance.T)
    assert [score.item() for score in found] == pytest.approx(expected)
    assert abs(expected[0] - expected[1]) > 0.01


def test_rounding_below_zero_is_no_importance():
    importance = torch.eye(3).double()
    expected = disentanglement(importance)
    importance[0, 1] = -1e-17
    assert disentanglement(importance) == disentanglement(importance.T) == expected == 1


def test_informativeness_is_the_accuracy_on_images_kept_apart(noisy, factors):
    accuracies = []
    for column in factors.numpy().T:
        model = GradientBoostingClassifier(n_estimators=5, random_state=0)
        model.fit(noisy[:1000].numpy(), column[:1000])
        predicted = model.predict(noisy[1000:].numpy())
        accuracies.append(np.mean(predicted == column[1000:]))
    found = DCI(num_train=1000, trees=5).score(noisy, factors)[2]
    assert found.item() == pytest.approx(np.mean(accuracies))


def test_a_third_of_the_images_is_kept_for_the_test_of_dci(noisy, factors):
    table = noisy[:300], factors[:300]
    all_asked = DCI(num_train=300, trees=2).score(*table)
    assert torch.equal(all_asked, DCI(num_train=200, trees=2).score(*table))


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
    assert SAP(num_train=1000).score(noisy, factors).item() == pytest.approx(expected)


def test_a_third_of_the_images_is_kept_for_the_test_of_sap(noisy, factors):
    found = SAP().score(noisy[:300], factors[:300])
    assert found.item() == pytest.approx(gap_by_a_loop(noisy[:300], factors[:300], 200))


def test_an_only_dimension_is_compared_with_guessing():
    factors = torch.randint(2, (2000, 1))
    metric = SAP()
    metric.update(2.0 * factors, factors)
    assert metric.compute().value.item() == pytest.approx(0.5, abs=0.05)
