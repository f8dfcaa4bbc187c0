import pytest
import torch

from lightning_gen.objectives.vq import commitment


def test_commitment_is_the_squared_distance_of_each_image_and_moves_the_features_alone():
    features, quantised = (torch.randn(3, 4, 2, 5, requires_grad=True) for _ in range(2))
    found = commitment(features, quantised)
    by_hand = [torch.dist(a, b).item() ** 2 for a, b in zip(features, quantised, strict=True)]
    assert found.tolist() == pytest.approx(by_hand, rel=1e-5)
    found.sum().backward()
    torch.testing.assert_close(features.grad, 2 * (features - quantised).detach())
    assert quantised.grad is None
