import math

import pytest
import torch
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal, kl_divergence

from lightning_gen.metrics import MutualInformation, PriorMMD
from lightning_gen.metrics.aggregate import mean_of, mutual_information, noise
from lightning_gen.objectives.mmd import InverseMultiquadratics
from support.refusals import assert_refused
from support.scores import updated


def linear(n, slope, deviation):
    """q(z|x) = N(slope x, deviation^2) with x ~ N(0, 1), in two dimensions."""
    return slope * torch.randn(n, 2), torch.full((n, 2), 2 * math.log(deviation))


def test_information_of_a_linear_channel_is_the_closed_form():
    information = updated(MutualInformation(), *linear(4000, 0.8, 0.6)).compute()
    exact = 2 * 0.5 * math.log(1 + 0.8**2 / 0.6**2)
    found, marginal = information.mutual_information, information.marginal_kl
    assert found.value.item() == pytest.approx(exact, abs=4 * found.standard_error.item())
    assert found.standard_error < 0.03
    assert found.value < information.at_most < found.value + 0.1
    assert abs(marginal.value) < 4 * marginal.standard_error  # the aggregate posterior is the prior
    assert not information.capped


def test_more_information_than_the_images_can_show_is_a_bound():
    """12 nats of 2,000 images, whose logarithm is 7.6, and an aggregate posterior that is p(z)."""
    deviation = math.exp(-6 / 3)
    mean = math.sqrt(1 - deviation**2) * torch.randn(2000, 6)
    log_var = torch.full((2000, 6), 2 * math.log(deviation))
    found = updated(MutualInformation(), mean, log_var).compute()
    assert found.capped
    assert found.mutual_information.value < math.log(2000) < 12 < found.at_most
    assert found.marginal_kl.value > 4
    assert found.mutual_information.standard_error.isnan()
    assert found.marginal_kl.standard_error.isnan()
    assert found.posterior_kl.standard_error > 0


def test_information_agrees_with_torch_distributions():
    mean, log_var = torch.randn(50, 3), torch.randn(50, 3)
    deviation = (log_var / 2).exp()
    codes = mean + deviation * torch.randn(50, 3)
    posterior = Independent(Normal(mean.double(), (log_var.double() / 2).exp()), 1)
    mixture = MixtureSameFamily(Categorical(torch.ones(50).double()), posterior)
    terms = posterior.log_prob(codes.double()) - mixture.log_prob(codes.double())
    found = mutual_information(mean, log_var, codes)
    of_others = []
    for i in range(50):
        others = torch.arange(50) != i
        parts = Independent(Normal(mean[others].double(), deviation[others].double()), 1)
        mixture = MixtureSameFamily(Categorical(torch.ones(49).double()), parts)
        of_others.append(mixture.log_prob(codes[i].double()))
    terms_of_others = posterior.log_prob(codes.double()) - torch.stack(of_others)
    assert found.at_most.item() == pytest.approx(terms_of_others.mean().item(), rel=1e-5)
    kl = kl_divergence(posterior, Independent(Normal(torch.zeros(50, 3).double(), 1.0), 1))
    assert found.posterior_kl.value.item() == pytest.approx(kl.mean().item(), rel=1e-5)
    assert found.marginal_kl.value.item() == pytest.approx((kl - terms).mean().item(), rel=1e-4)
    found = mean_of(terms)
    assert found.value.item() == pytest.approx(terms.mean().item(), rel=1e-5)
    assert found.standard_error.item() == pytest.approx((terms.std() / 50**0.5).item(), rel=1e-4)


def test_one_image_has_no_information():
    metric = updated(MutualInformation(), torch.zeros(1, 2), torch.zeros(1, 2))
    assert_refused("two or more images, got 1", metric.compute)


def test_mmd_is_about_zero_for_the_prior_and_not_for_another():
    # x ~ N(0, 0.64), z|x ~ N(x, 0.36): the aggregate posterior is the prior.
    found = updated(PriorMMD(), *linear(5000, 0.8, 0.6)).compute()
    assert abs(found.value) < 0.01
    assert 0 < found.standard_error < 0.005
    wide = updated(PriorMMD(), *linear(5000, 1.6, 0.6)).compute()
    assert wide.value > 0.1


def test_mmd_is_the_mean_over_blocks_of_a_plain_loop():
    mean, log_var = linear(9, 1.0, 1.0)
    metric = updated(PriorMMD(seed=3), mean, log_var)
    *_, codes = metric._posteriors()
    prior = noise(codes, 3, 1)
    kernel = InverseMultiquadratics()
    total = 0.0
    for i in range(9):
        for j in range(9):
            same = i != j
            total += same * (kernel(codes[i : i + 1], codes[j : j + 1])).item() / (9 * 8)
            total += same * (kernel(prior[i : i + 1], prior[j : j + 1])).item() / (9 * 8)
            total -= 2 * kernel(codes[i : i + 1], prior[j : j + 1]).item() / 9**2
    found = metric.compute()
    assert found.value.item() == pytest.approx(total, abs=1e-5)
    assert found.standard_error.isnan()
