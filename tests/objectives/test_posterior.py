import torch
from torch import distributions as D
from torch.testing import assert_close

from lightning_gen.objectives import DiagonalGaussian
from lightning_gen.objectives.posterior import standard_normal_log_prob


def random_posterior(n=6, d=4):
    return DiagonalGaussian(2 * torch.randn(n, d), 2 * torch.randn(n, d))


def test_kl():
    posterior = random_posterior()
    normal = D.Normal(posterior.mean, torch.exp(0.5 * posterior.log_var))
    expected = D.kl_divergence(normal, D.Normal(0.0, 1.0))
    assert_close(posterior.kl_to_standard_normal(), expected)


def test_kl_of_the_prior_is_zero():
    prior = DiagonalGaussian(torch.zeros(2, 3), torch.zeros(2, 3))
    assert torch.equal(prior.kl_to_standard_normal(), torch.zeros(2, 3))


def test_sample_moments():
    mean, log_var = torch.tensor([[-1.0, 0.0, 3.0]]), torch.tensor([[-4.0, 0.0, 2.0]])
    n = 100_000
    samples = DiagonalGaussian(mean.repeat(n, 1), log_var.repeat(n, 1)).sample()
    std = torch.exp(0.5 * log_var[0])
    # Five standard errors of the mean and of the standard deviation.
    assert ((samples.mean(0) - mean[0]).abs() < 5 * std / n**0.5).all()
    assert ((samples.std(0) / std - 1).abs() < 5 / (2 * n) ** 0.5).all()
    correlation = torch.corrcoef(samples.T) - torch.eye(3)
    assert (correlation.abs() < 5 / n**0.5).all()


def test_sample_carries_the_gradients_of_the_reparameterisation():
    mean = torch.randn(5, 3, requires_grad=True)
    log_var = torch.randn(5, 3, requires_grad=True)
    torch.manual_seed(1)
    samples = DiagonalGaussian(mean, log_var).sample()
    torch.manual_seed(1)
    noise = torch.randn(5, 3)
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
