import math

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from scipy.stats import norm
from torch import distributions as D
from torch.testing import assert_close

from lightning_gen.objectives import (
    ELBO,
    MMD,
    DiagonalGaussian,
    ImportanceWeighted,
    TotalCorrelation,
)
from lightning_gen.objectives.posterior import (
    bound_in_parts,
    importance_weighted_bound,
    kl_divergence,
)
from lightning_gen.objectives.total_correlation import minibatch_total_correlation, permuted
from lightning_gen.priors import GaussianMixture, StandardNormal
from support.refusals import assert_refused

NORMAL, NORMAL_4 = (StandardNormal().fit(torch.zeros(1, size)) for size in (3, 4))


def as_mixture(latent_dim):
    """N(0, I) whose KL has no closed form."""
    prior = GaussianMixture(1)
    prior.build(latent_dim)
    with torch.no_grad():
        prior.means.zero_()
    return prior


def random_posterior(n=6, d=4):
    return DiagonalGaussian(2 * torch.randn(n, d), 2 * torch.randn(n, d))


def test_kl():
    posterior = random_posterior()
    normal = D.Normal(posterior.mean, torch.exp(0.5 * posterior.log_var))
    expected = D.kl_divergence(normal, D.Normal(0.0, 1.0))
    assert_close(posterior.kl_to_standard_normal(), expected)


def test_a_sample_is_the_reparameterisation():
    posterior = random_posterior()
    torch.manual_seed(1)
    samples = posterior.sample()
    torch.manual_seed(1)
    expected = posterior.mean + posterior.log_var.exp().sqrt() * torch.randn(6, 4)
    assert_close(samples, expected)


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


def test_a_kl_by_draws_agrees_with_the_closed_form():
    posterior = DiagonalGaussian(torch.randn(3, 4), torch.randn(3, 4)).repeated(20_000)
    closed = kl_divergence(posterior, NORMAL_4).sum(dim=1).mean()
    drawn = kl_divergence(posterior, as_mixture(4)).sum(dim=1)
    error = drawn.std() / math.sqrt(len(drawn))
    assert (drawn.mean() - closed).abs() < 4 * error
    assert error < 0.02


def test_repeated_posteriors_come_one_round_after_the_other():
    posterior = random_posterior(n=3)
    repeated = posterior.repeated(2)
    assert torch.equal(repeated.mean, torch.cat([posterior.mean, posterior.mean]))
    assert torch.equal(repeated.log_var, torch.cat([posterior.log_var, posterior.log_var]))


LOG_LIKELIHOOD = torch.tensor([-100.0, -300.0])
KL = torch.tensor([[0.5, 2.0, 3.0], [0.3, 4.0, 5.0]])  # sums 5.5 and 9.3, means .4, 3, 4


@pytest.mark.parametrize("beta", [0.0, 1.0, 2.5])
def test_loss_is_the_mean_of_the_images_bounds(beta):
    terms = ELBO(beta).bound(LOG_LIKELIHOOD, KL)
    assert terms["reconstruction"].item() == 200
    assert terms["kl"].item() == pytest.approx(7.4)
    assert terms["loss"].item() == pytest.approx((100 + 300 + beta * (5.5 + 9.3)) / 2)


def test_warmup_is_linear_and_ends_at_beta():
    elbo = ELBO(beta=4.0, warmup_steps=10)
    weights = [
        (elbo.bound(LOG_LIKELIHOOD, KL, step)["loss"].item() - 200) / 7.4
        for step in (0, 1, 5, 10, 11, 1000)
    ]
    assert weights == pytest.approx([0, 0.4, 2, 4, 4, 4], abs=1e-4)


def test_free_bits_cost_nothing_and_give_no_gradient_below_the_limit():
    kl = KL.clone().requires_grad_()
    terms = ELBO(beta=2.0, free_bits=3.5).bound(LOG_LIKELIHOOD, kl, 0)
    assert terms["loss"].item() == pytest.approx(200 + 2 * (3.5 + 3.5 + 4))
    assert terms["kl"].item() == pytest.approx(7.4)
    terms["loss"].backward()
    assert_close(kl.grad, torch.tensor([[0, 0, 1.0], [0, 0, 1.0]]))


def test_evaluation_ignores_warmup_and_free_bits():
    plain, aided = ELBO(beta=2.0), ELBO(beta=2.0, warmup_steps=100, free_bits=10.0)
    assert aided.bound(LOG_LIKELIHOOD, KL) == plain.bound(LOG_LIKELIHOOD, KL)
    assert aided.bound(LOG_LIKELIHOOD, KL, 0) != plain.bound(LOG_LIKELIHOOD, KL, 0)


def test_capacity_is_what_the_kl_is_to_have():
    """Burgess et al. 2018: beta |KL - C|, with C from 0 to the capacity in the warm-up."""
    elbo = ELBO(beta=10.0, warmup_steps=10, capacity=8.0)
    losses = [elbo.bound(LOG_LIKELIHOOD, KL, step)["loss"].item() - 200 for step in (0, 5, 10, 99)]
    assert losses == pytest.approx([74, 34, 6, 6], abs=1e-3)
    assert elbo.bound(LOG_LIKELIHOOD, KL)["loss"].item() == pytest.approx(206)


class LinearGaussian:
    """p(z) = N(0, I), p(x|z) = N(z, I): log p(x) and the posterior are known."""

    def __init__(self, n=5, d=3):
        self.images = 2 * torch.randn(n, d)
        self.posterior = DiagonalGaussian(self.images / 2, torch.full((n, d), math.log(0.5)))

    def log_likelihood(self, codes):
        repeated = self.images.repeat(len(codes) // len(self.images), 1)
        return D.Independent(D.Normal(codes, 1.0), 1).log_prob(repeated)

    @property
    def evidence(self):
        prior = D.Normal(torch.zeros_like(self.images), math.sqrt(2))
        return D.Independent(prior, 1).log_prob(self.images).mean()


@pytest.mark.parametrize("prior", [NORMAL, as_mixture(3)])
@pytest.mark.parametrize("num_samples", [1, 7])
def test_with_the_true_posterior_every_bound_is_the_evidence(num_samples, prior):
    model = LinearGaussian()
    bound = ImportanceWeighted(num_samples=num_samples)
    terms = bound(model.log_likelihood, model.posterior, prior)
    assert_close(-terms["loss"], model.evidence)
    assert_close(-terms["negative_elbo"], model.evidence)
    draws = [ELBO()(model.log_likelihood, model.posterior, prior)["loss"] for _ in range(1000)]
    # By draws the KL goes up where the likelihood does: p(x, z) / q(z|x) is p(x) for every z.
    tolerance = 0.15 if prior is NORMAL else 1e-4
    assert_close(-torch.stack(draws).mean(), model.evidence, atol=tolerance, rtol=0)


@pytest.mark.parametrize("aids", [{"warmup_steps": 10}, {"free_bits": 2.0}, {"capacity": 4.0}])
def test_one_importance_weight_has_the_elbo_s_aids(aids):
    """In expectation over the draws, at a step of the warm-up."""
    model = LinearGaussian(n=2000)
    wide = DiagonalGaussian(model.posterior.mean + 0.3, model.posterior.log_var + 0.2)
    losses = [
        kind(log_likelihood, wide, NORMAL, 4)["loss"]
        for log_likelihood in [model.log_likelihood]
        for kind in (ELBO(beta=2.0, **aids), ImportanceWeighted(2.0, num_samples=1, **aids))
    ]
    assert_close(*losses, atol=0.25, rtol=0)


@pytest.mark.parametrize(
    ("extended", "term"),
    [(TotalCorrelation(weight=3.0), "total_correlation"), (MMD(weight=3.0), "mmd")],
)
def test_a_further_term_has_its_weight_and_nothing_else_changes(extended, term):
    model = LinearGaussian()
    results = []
    for objective in (ELBO(), extended):
        torch.manual_seed(0)
        results.append(objective(model.log_likelihood, model.posterior, NORMAL))
    plain, more = results
    assert_close(more["loss"], plain["loss"] + 3 * more[term])
    assert (more["reconstruction"], more["kl"]) == (plain["reconstruction"], plain["kl"])


def test_an_objective_like_another_has_its_aids_and_refuses_other_terms():
    found = MMD.like(ELBO(2.0, 5, 0.1, 3.0), weight=4.0)
    assert found == MMD(2.0, 5, 0.1, 3.0, weight=4.0)
    refused = "makes a MMD of the options of an ELBO.*got TotalCorr"
    assert_refused(refused, MMD.like, TotalCorrelation())


@pytest.mark.parametrize(
    ("kind", "name", "values"),
    [
        *((ELBO, name, (-1.0, math.nan, math.inf)) for name in ("beta", "free_bits", "capacity")),
        *((ELBO, "warmup_steps", (-1,)), (ImportanceWeighted, "num_samples", (-2,))),
        *(
            (ImportanceWeighted, "num_bounds", (0,)),
            (ImportanceWeighted, "elbo_share", (-1.0, 2.0)),
        ),
        *((MMD, "weight", (-1.0, math.nan)), (TotalCorrelation, "weight", (-1.0,))),
    ],
)
def test_what_is_no_option_of_an_objective(kind, name, values):
    for value in values:
        assert_refused(rf"{name} is .* got {value!r}", kind, **{name: value})


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


@pytest.mark.parametrize(("bounds", "share"), [(1, 0.0), (3, 0.0), (1, 0.4), (2, 1.0)])
def test_bounds_that_are_averaged_by_numpy(bounds, share):
    """Rainforth et al. 2018, equations 9 and 11, in float64, from the draws themselves."""
    model, seen = LinearGaussian(), []
    wide = DiagonalGaussian(model.posterior.mean + 0.3, model.posterior.log_var + 0.2)

    def log_likelihood(codes):
        seen.append(codes)
        return model.log_likelihood(codes)

    objective = ImportanceWeighted(num_samples=4, num_bounds=bounds, elbo_share=share)
    loss = objective(log_likelihood, wide, NORMAL)["loss"]
    z = seen[0].view(4, bounds, 5, 3).double().numpy()
    mean, std = wide.mean.double().numpy(), (0.5 * wide.log_var).exp().double().numpy()
    x = model.images.double().numpy()
    log_weights = (norm.logpdf(x, z) + norm.logpdf(z) - norm.logpdf(z, mean, std)).sum(axis=-1)
    bound = (logsumexp(log_weights, axis=0) - math.log(4)).mean()
    expected = (1 - share) * bound + share * log_weights.mean()
    assert loss.item() == pytest.approx(-expected, abs=1e-5)
