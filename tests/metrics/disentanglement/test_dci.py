import numpy as np
import pytest
import torch
from scipy.stats import entropy
from sklearn.ensemble import GradientBoostingClassifier

from lightning_gen.metrics.disentanglement import dci_scores
from lightning_gen.metrics.disentanglement.dci import completeness, disentanglement


def concentration_by_a_loop(importance):
    """Weighted mean over rows of 1 - entropy."""
    importance = importance.numpy()
    score = 0.0
    for row in importance:
        if row.sum() > 0:
            score += row.sum() / importance.sum() * (1 - entropy(row, base=len(row)))
    return score


@pytest.mark.parametrize("unused", [0, 2])
def test_disentanglement_and_completeness_agree_with_scipy(unused):
    importance = torch.rand(6, 4).double() ** 3
    importance[:unused] = 0
    found = disentanglement(importance), completeness(importance)
    expected = concentration_by_a_loop(importance), concentration_by_a_loop(importance.T)
    assert [score.item() for score in found] == pytest.approx(expected)
    assert abs(expected[0] - expected[1]) > 0.01


def test_a_factor_in_two_dimensions_is_disentangled_but_not_complete():
    importance = torch.tensor([[0.5, 0.0], [0.5, 0.0], [0.0, 1.0], [0.0, 0.0]]).double()
    assert disentanglement(importance) == pytest.approx(1)
    assert completeness(importance) == pytest.approx((0.5 + 1) / 2)


def test_rounding_below_zero_is_no_importance():
    importance = torch.eye(3).double()
    expected = disentanglement(importance)
    importance[0, 1] = -1e-17
    assert disentanglement(importance) == completeness(importance) == expected == 1


def test_no_importance_is_worth_nothing():
    assert disentanglement(torch.zeros(3, 2).double()) == 0


def test_informativeness_is_the_accuracy_on_images_kept_apart(noisy, factors):
    accuracies = []
    for column in factors.numpy().T:
        model = GradientBoostingClassifier(n_estimators=5, random_state=0)
        model.fit(noisy[:1000].numpy(), column[:1000])
        predicted = model.predict(noisy[1000:].numpy())
        accuracies.append(np.mean(predicted == column[1000:]))
    found = dci_scores(noisy, factors, num_train=1000, trees=5)[2]
    assert found.item() == pytest.approx(np.mean(accuracies))


def test_a_third_of_the_images_is_kept_for_the_test(noisy, factors):
    all_asked = dci_scores(noisy[:300], factors[:300], num_train=300, trees=2)
    assert torch.equal(all_asked, dci_scores(noisy[:300], factors[:300], num_train=200, trees=2))
