import math

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from scipy.stats import norm

from lightning_gen.objectives import DiagonalGaussian
from lightning_gen.objectives.total_correlation import minibatch_total_correlation, permuted


def by_loops(codes, posterior):
    """The definition, one image, posterior and dimension at a time."""
    n, d = codes.shape
    scale = (posterior.log_var / 2).exp()
    total = 0.0
    for i in range(n):
        density = np.array(
            [
                [
                    norm.logpdf(codes[i, j].item(), posterior.mean[k, j], scale[k, j])
                    for j in range(d)
                ]
                for k in range(n)
            ]
        )
        joint = logsumexp(density.sum(axis=1)) - math.log(n)
        total += joint - (logsumexp(density, axis=0) - math.log(n)).sum()
    return total / n


def test_agrees_with_a_plain_loop_over_scipys_densities():
    posterior = DiagonalGaussian(torch.randn(6, 3), torch.randn(6, 3))
    codes = posterior.sample()
    found = minibatch_total_correlation(codes, posterior)
    assert found.item() == pytest.approx(by_loops(codes, posterior), rel=1e-4)


def test_posteriors_that_are_the_prior_have_none():
    posterior = DiagonalGaussian(torch.zeros(50, 4), torch.zeros(50, 4))
    found = minibatch_total_correlation(posterior.sample(), posterior)
    assert found.item() == pytest.approx(0, abs=1e-5)


def test_dimensions_that_repeat_each_other_have_much():
    mean = 3 * torch.randn(200, 1)
    log_var = torch.full((200, 1), -1.0)
    single = DiagonalGaussian(mean, log_var)
    noise = torch.randn(200, 1) * math.exp(-0.5)
    double = DiagonalGaussian(mean.repeat(1, 2), log_var.repeat(1, 2))
    independent = DiagonalGaussian(
        torch.cat([mean, mean[torch.randperm(200)]], dim=1), log_var.repeat(1, 2)
    )
    assert minibatch_total_correlation(mean + noise, single).item() == pytest.approx(0, abs=1e-5)
    repeated = minibatch_total_correlation(double.sample(), double).item()
    assert repeated > minibatch_total_correlation(independent.sample(), independent).item() + 0.5


def test_it_is_computed_in_float32_under_autocast():
    posterior = DiagonalGaussian(torch.randn(20, 3), torch.randn(20, 3))
    codes = posterior.sample()
    with torch.autocast("cpu", torch.bfloat16):
        found = minibatch_total_correlation(codes, posterior)
    assert torch.equal(found, minibatch_total_correlation(codes, posterior))


def test_permuted_codes_keep_each_dimension_and_lose_what_ties_them():
    codes = torch.randn(4000, 1).repeat(1, 3) + torch.tensor([0.0, 10.0, 20.0])
    shuffled = permuted(codes)
    torch.testing.assert_close(shuffled.sort(dim=0).values, codes.sort(dim=0).values)
    correlation = torch.corrcoef(shuffled.T)
    assert (correlation - torch.eye(3)).abs().max() < 0.06
