"""Posteriors, the bounds of VAEs, and the total correlation of codes."""

import math

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from scipy.stats import norm
from torch import distributions as D
from torch.testing import assert_close

from lightning_gen.errors import UserError
from lightning_gen.objectives import ELBO, DiagonalGaussian
from lightning_gen.objectives.importance import bound_in_parts, importance_weighted_bound
from lightning_gen.objectives.posterior import standard_normal_log_prob
from lightning_gen.objectives.total_correlation import minibatch_total_correlation, permuted


def random_posterior(n=6, d=4):
    return DiagonalGaussian(2 * torch.randn(n, d), 2 * torch.randn(n, d))


def test_kl():
    posterior = random_posterior()
    normal = D.Normal(posterior.mean, torch.exp(0.5 * posterior.log_var))
    expected = D.kl_divergence(normal, D.Normal(0.0, 1.0))
    assert_close(posterior.kl_to_standard_normal(), expected)


def test_a_sample_is_the_reparameterisation_and_carries_its_gradients():
    mean = torch.randn(5, 3, requires_grad=True)
    log_var = torch.randn(5, 3, requires_grad=True)
    torch.manual_seed(1)
    samples = DiagonalGaussian(mean, log_var).sample()
    torch.manual_seed(1)
    noise = torch.randn(5, 3)
    assert_close(samples, mean + log_var.exp().sqrt() * noise)
    samples.sum().backward()
    assert_close(mean.grad, torch.ones(5, 3))
    assert_close(log_var.grad, 0.5 * torch.exp(0.5 * log_var.detach()) * noise)


def test_features_are_split_into_halves():
    features = torch.arange(12.0).view(2, 6).bfloat16()
    posterior = DiagonalGaussian.from_features(features)
    assert torch.equal(posterior.mean, features[:, :3].float())
    assert torch.equal(posterior.log_var, features[:, 3:].float())


def test_densities():
    posterior = random_posterior()
    codes = torch.randn(6, 4)
    normal = D.Independent(D.Normal(posterior.mean, torch.exp(0.5 * posterior.log_var)), 1)
    assert_close(posterior.log_prob(codes), normal.log_prob(codes))
    prior = D.Independent(D.Normal(torch.zeros(4), torch.ones(4)), 1)
    assert_close(standard_normal_log_prob(codes), prior.log_prob(codes))


def test_repeated_posteriors_come_one_round_after_the_other():
    posterior = random_posterior(n=3)
    repeated = posterior.repeated(2)
    assert torch.equal(repeated.mean, torch.cat([posterior.mean, posterior.mean]))
    assert torch.equal(repeated.log_var, torch.cat([posterior.log_var, posterior.log_var]))


LOG_LIKELIHOOD = torch.tensor([-100.0, -300.0])
KL = torch.tensor([[0.5, 2.0, 3.0], [0.3, 4.0, 5.0]])  # sums 5.5 and 9.3, means .4, 3, 4


@pytest.mark.parametrize("beta", [0.0, 1.0, 2.5])
def test_loss_is_the_mean_of_the_images_bounds(beta):
    terms = ELBO(beta)(LOG_LIKELIHOOD, KL)
    assert terms.reconstruction.item() == 200
    assert terms.kl.item() == pytest.approx(7.4)
    assert terms.loss.item() == pytest.approx((100 + 300 + beta * (5.5 + 9.3)) / 2)


def test_warmup_is_linear_and_ends_at_beta():
    elbo = ELBO(beta=4.0, warmup_steps=10)
    weights = [
        (elbo(LOG_LIKELIHOOD, KL, step).loss.item() - 200) / 7.4 for step in (0, 1, 5, 10, 11, 1000)
    ]
    assert weights == pytest.approx([0, 0.4, 2, 4, 4, 4], abs=1e-4)


def test_free_bits_cost_nothing_and_give_no_gradient_below_the_limit():
    kl = KL.clone().requires_grad_()
    terms = ELBO(beta=2.0, free_bits=3.5)(LOG_LIKELIHOOD, kl, 0)
    assert terms.loss.item() == pytest.approx(200 + 2 * (3.5 + 3.5 + 4))
    assert terms.kl.item() == pytest.approx(7.4)
    terms.loss.backward()
    assert_close(kl.grad, torch.tensor([[0, 0, 1.0], [0, 0, 1.0]]))


def test_evaluation_ignores_warmup_and_free_bits():
    plain, aided = ELBO(beta=2.0), ELBO(beta=2.0, warmup_steps=100, free_bits=10.0)
    assert aided(LOG_LIKELIHOOD, KL) == plain(LOG_LIKELIHOOD, KL)
    assert aided(LOG_LIKELIHOOD, KL, 0) != plain(LOG_LIKELIHOOD, KL, 0)


BAD_VALUES = [
    *((name, value) for name in ("beta", "free_bits") for value in (-1.0, math.nan, math.inf)),
    ("warmup_steps", -1),
]


@pytest.mark.parametrize(("name", "value"), BAD_VALUES)
def test_bad_values(name, value):
    with pytest.raises(UserError, match=f"{name} is .* got {value}"):
        ELBO(**{name: value})


def test_the_bound_is_the_log_of_the_mean_weight():
    for draws in (1, 5):
        weights = torch.rand(draws, 3)
        bound = importance_weighted_bound(weights.log())
        assert bound.tolist() == pytest.approx(weights.mean(dim=0).log().tolist())


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


def by_loops(codes, posterior):
    """The definition, one image, posterior and dimension at a time."""
    n, d = codes.shape
    scale = (posterior.log_var / 2).exp()
    total = 0.0
    for i in range(n):
        density = np.zeros((n, d))
        for k, j in np.ndindex(n, d):
            density[k, j] = norm.logpdf(codes[i, j].item(), posterior.mean[k, j], scale[k, j])
        joint = logsumexp(density.sum(axis=1)) - math.log(n)
        total += joint - (logsumexp(density, axis=0) - math.log(n)).sum()
    return total / n


def test_agrees_with_a_plain_loop_over_scipys_densities():
    posterior = DiagonalGaussian(torch.randn(6, 3), torch.randn(6, 3))
    codes = posterior.sample()
    found = minibatch_total_correlation(codes, posterior)
    assert found.item() == pytest.approx(by_loops(codes, posterior), rel=1e-4)


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
