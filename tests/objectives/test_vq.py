import pytest
import torch

from lightning_gen.objectives.vq import commitment, straight_through


@pytest.fixture
def pair():
    return torch.randn(3, 4, 2, 5, requires_grad=True), torch.randn(3, 4, 2, 5, requires_grad=True)


def test_straight_through_is_the_quantised_value_with_the_gradient_of_the_features(pair):
    features, quantised = pair
    assert torch.equal(straight_through(1e6 * features, quantised), quantised)
    weights = torch.randn(3, 4, 2, 5)
    (straight_through(features, quantised) * weights).sum().backward()
    assert torch.equal(features.grad, weights)
    assert quantised.grad is None


def test_commitment_is_the_squared_distance_of_each_image_and_moves_the_features_alone(pair):
    features, quantised = pair
    found = commitment(features, quantised)
    by_hand = [torch.dist(a, b).item() ** 2 for a, b in zip(features, quantised, strict=True)]
    assert found.tolist() == pytest.approx(by_hand, rel=1e-5)
    found.sum().backward()
    torch.testing.assert_close(features.grad, 2 * (features - quantised).detach())
    assert quantised.grad is None
