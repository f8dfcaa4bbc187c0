import math

import pytest
import torch

from lightning_gen.objectives.importance import bound_in_parts, importance_weighted_bound


def test_the_bound_is_the_log_of_the_mean_weight():
    weights = torch.rand(5, 3)
    bound = importance_weighted_bound(weights.log())
    assert bound.tolist() == pytest.approx(weights.mean(dim=0).log().tolist())


def test_one_draw_gives_its_log_weight():
    log_weights = torch.randn(1, 4)
    assert torch.equal(importance_weighted_bound(log_weights), log_weights[0])


@pytest.mark.parametrize("at_once", [1, 3, 7, 100])
def test_parts_give_the_bound_of_all_draws(at_once):
    log_weights = 50 * torch.randn(10, 4) - 1000  # nats of an image: exp of them is 0
    asked = []

    def draw(count):
        start = sum(asked)
        asked.append(count)
        return log_weights[start : start + count]

    bound = bound_in_parts(draw, 10, at_once)
    torch.testing.assert_close(bound, importance_weighted_bound(log_weights.double()))
    assert max(asked) == min(at_once, 10)


def test_the_bound_rises_with_the_number_of_draws():
    # Log-normal weights of mean 1: log p = 0 is the limit, and -s^2/2 the ELBO.
    spread = 1.5
    log_weights = spread * torch.randn(64, 50_000) - spread**2 / 2
    bounds = [importance_weighted_bound(log_weights[:k]).mean().item() for k in (1, 4, 16, 64)]
    assert bounds == sorted(bounds)
    assert bounds[0] == pytest.approx(-(spread**2) / 2, abs=0.03)
    assert -0.1 < bounds[-1] < 0
    assert math.isclose(bounds[-1], 0, abs_tol=0.1)
