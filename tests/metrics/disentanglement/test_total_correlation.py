import math

import pytest
import torch
from torch.distributions import MultivariateNormal, kl_divergence

from lightning_gen.errors import UserError
from lightning_gen.metrics.disentanglement import (
    GaussianTotalCorrelation,
    gaussian_total_correlation,
)


def test_it_is_the_kl_to_the_product_of_marginals():
    codes = torch.randn(300, 5).double() @ torch.randn(5, 5).double()
    mean, covariance = codes.mean(dim=0), codes.T.cov()
    joint = MultivariateNormal(mean, covariance)
    apart = MultivariateNormal(mean, covariance.diag().diag())
    found = gaussian_total_correlation(codes)
    torch.testing.assert_close(found, kl_divergence(joint, apart))
    assert found > 0.5


def test_of_a_known_correlation():
    first, second = torch.randn(2, 200_000)
    codes = torch.stack([1000 + first, 0.01 * (0.6 * first + 0.8 * second)], dim=1)
    found = gaussian_total_correlation(codes)
    assert found.item() == pytest.approx(-0.5 * math.log(1 - 0.6**2), abs=0.005)


def test_constant_dimensions_are_left_out():
    codes = torch.randn(200, 3)
    with_constant = torch.cat([codes, torch.ones(200, 2)], dim=1)
    assert gaussian_total_correlation(with_constant) == gaussian_total_correlation(codes)
    assert gaussian_total_correlation(torch.ones(200, 2)) == 0


def test_the_metric_needs_no_factors():
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
