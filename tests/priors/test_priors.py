"""Priors: their densities, their draws, and what a fit finds."""

import pytest
import torch
from scipy.stats import kstest
from sklearn.mixture import GaussianMixture as SklearnMixture
from torch import distributions as D
from torch.testing import assert_close

from lightning_gen.data import MiniFashionMNIST
from lightning_gen.errors import UserError
from lightning_gen.models import CVAE, VAE
from lightning_gen.networks import Dense
from lightning_gen.priors import GaussianMixture, NormalizingFlow, StandardNormal, VampPrior

DIM = 8


def known_mixture():
    """A mixture of three Gaussians in eight dimensions, which overlap a little."""
    torch.manual_seed(3)
    means = 2 * torch.randn(3, DIM)
    factors = torch.eye(DIM) + 0.2 * torch.randn(3, DIM, DIM).tril(-1)
    parts = D.MultivariateNormal(means, scale_tril=factors)
    return D.MixtureSameFamily(D.Categorical(torch.tensor([0.2, 0.3, 0.5])), parts)


@pytest.fixture(scope="module")
def truth():
    return known_mixture()


@pytest.mark.parametrize("components", [None, 3])
def test_a_mixture_finds_the_density_of_a_mixture(truth, components):
    prior = GaussianMixture(components).fit(truth.sample((20_000,)))
    new = truth.sample((20_000,))
    gap = truth.log_prob(new) - prior.log_prob(new)
    assert 0 <= gap.mean() < 0.05
    assert not any(parameter.requires_grad for parameter in prior.parameters())


@pytest.mark.slow
def test_a_flow_finds_the_density_of_a_mixture(truth):
    prior = NormalizingFlow(epochs=5).fit(truth.sample((200_000,)))
    new = truth.sample((20_000,))
    assert (truth.log_prob(new) - prior.log_prob(new)).mean().abs() < 0.05


@pytest.mark.parametrize("covariance", ["full", "diagonal"])
def test_a_mixture_has_the_density_of_scikit_learn_s(truth, covariance):
    codes = truth.sample((2000,)) * 100 + 7  # far from standard
    prior = GaussianMixture(3, covariance).fit(codes)
    kind = {"full": "full", "diagonal": "diag"}[covariance]
    other = SklearnMixture(3, covariance_type=kind)
    other.weights_ = prior.logits.softmax(dim=0).numpy()
    other.means_ = prior.means.numpy()
    diagonal = prior.log_diagonal.exp()
    full = covariance == "full"
    factors = prior.upper + diagonal.diag_embed() if full else diagonal
    other.precisions_cholesky_ = factors.numpy()
    expected = torch.from_numpy(other.score_samples(codes.numpy())).float()
    assert_close(prior.log_prob(codes), expected, rtol=1e-4, atol=1e-4)


def trained_vamp():
    torch.manual_seed(0)
    model = VAE((1, 28, 28), 4, Dense((16,)), prior=VampPrior(7))
    with torch.no_grad():
        model.encoder[-1].weight.mul_(20)
    return model


def test_a_vamp_prior_is_the_mixture_of_its_posteriors():
    model = trained_vamp()
    posterior = model.posterior(model.prior.pseudo_inputs.sigmoid())
    parts = D.Independent(D.Normal(posterior.mean, (0.5 * posterior.log_var).exp()), 1)
    mixture = D.MixtureSameFamily(D.Categorical(torch.ones(7)), parts)
    codes = mixture.sample((100,))
    assert_close(model.prior.log_prob(codes), mixture.log_prob(codes), rtol=1e-4, atol=1e-4)
    model.prior.log_prob(codes).sum().backward()
    assert model.prior.pseudo_inputs.grad.abs().sum() > 0


def test_a_vamp_prior_begins_at_training_images():
    data = MiniFashionMNIST(val_fraction=0.5)
    data.prepare_data()
    prior = trained_vamp().prior
    prior.start(data)
    images = prior.pseudo_inputs.sigmoid()
    assert_close(images, data.batch("train", 7).images.clamp(0.01, 0.99))


def test_a_vamp_prior_takes_a_posterior_of_images_alone():
    with pytest.raises(UserError, match="CVAE has none of images alone"):
        CVAE((1, 28, 28), ("a", "b"), prior=VampPrior())


def fitted(kind, truth):
    codes = truth.sample((2000,))
    if kind is VampPrior:
        return trained_vamp().prior
    return {
        StandardNormal: lambda: StandardNormal().fit(codes),
        GaussianMixture: lambda: GaussianMixture(3).fit(codes),
        NormalizingFlow: lambda: NormalizingFlow(2, (16,), epochs=2).fit(codes),
    }[kind]()


KINDS = (StandardNormal, GaussianMixture, NormalizingFlow, VampPrior)


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_draws_follow_the_density(kind, truth):
    """By importance weights of a wider Gaussian: the density has mass 1, and the draws' moments."""
    torch.manual_seed(0)
    prior = fitted(kind, truth)
    draws = prior.sample(100_000)
    assert draws.dtype == torch.float32
    wide = D.MultivariateNormal(draws.mean(dim=0), 1.5 * draws.T.cov())
    elsewhere = wide.sample((200_000,))
    weights = (prior.log_prob(elsewhere) - wide.log_prob(elsewhere)).exp()[:, None]
    assert weights.mean().item() == pytest.approx(1, abs=0.05)
    for power in (1, 2):
        expected = (weights * elsewhere**power).mean(dim=0) / weights.mean()
        scale = (elsewhere**power).std(dim=0)
        assert ((draws**power).mean(dim=0) - expected).abs().max() < 0.1 * scale.max()


@pytest.mark.parametrize("kind", KINDS)
def test_at_temperature_zero_only_modes_are_drawn(kind, truth):
    prior = fitted(kind, truth)
    modes = {StandardNormal: 1, GaussianMixture: 3, NormalizingFlow: 1, VampPrior: 7}[kind]
    assert len({tuple(row) for row in prior.sample(500, 0.0).tolist()}) == modes


@pytest.mark.parametrize("kind", KINDS[1:3])
def test_a_fit_is_the_same_at_any_scale(kind, truth):
    """Of codes a thousand times as large the density is lower by log 1000 a dimension."""
    codes, found = truth.sample((3000,)), []
    for scale in (1.0, 1000.0):
        torch.manual_seed(0)
        prior = kind(3) if kind is GaussianMixture else kind(2, (16,), epochs=3)
        found.append(prior.fit(scale * codes).log_prob(scale * codes[:200]))
    assert_close(found[1] + DIM * torch.tensor(1000.0).log(), found[0], atol=0.02, rtol=0)


def test_a_dimension_that_is_constant_is_kept(truth):
    codes = truth.sample((2000,))
    codes[:, 2] = 5.0
    draws = GaussianMixture(2).fit(codes).sample(1000)
    assert (draws[:, 2] - 5).abs().max() < 0.1
    assert kstest(draws[:, 0], codes[:, 0].numpy()).statistic < 0.1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GaussianMixture(0), "components is at least 1, got 0"),
        (lambda: GaussianMixture(2, "round"), 'is "full" or "diagonal", got \'round\''),
        (lambda: VampPrior(0), "components is at least 1, got 0"),
        (lambda: NormalizingFlow(epochs=0), "epochs is at least 1, got 0"),
        (lambda: NormalizingFlow(hidden=(0,)), "hidden is at least 1, got 0"),
        (lambda: GaussianMixture(2).fit(torch.randn(99, 2)), "100 finite codes or more, got 99"),
        (
            lambda: GaussianMixture(50).fit(torch.randn(120, 2)),
            "50 Gaussians is fitted to",
        ),
        (lambda: NormalizingFlow().fit(torch.full((200, 2), float("nan"))), "infinite or nan"),
        (lambda: VampPrior().fit(torch.randn(200, 2)), "trained with its model, as model.prior"),
        (lambda: VAE((1, 28, 28), prior=GaussianMixture()), "Set it to 50 to train the mixture"),
    ],
)
def test_what_cannot_be_is_told(make, message):
    with pytest.raises(UserError, match=message):
        make()


@pytest.mark.parametrize("prior", [GaussianMixture(4), NormalizingFlow(2, (16,)), VampPrior(6)])
def test_a_prior_is_trained_with_its_model(prior, tmp_path):
    """Each of its parameters gets a gradient, and the KL is that of draws."""
    model = VAE((1, 28, 28), 4, Dense((16,)), prior=prior)
    images = torch.rand(32, 1, 28, 28)
    terms = model.objective(
        lambda codes: model.log_likelihood(images, codes), model.posterior(images), model.prior
    )
    terms["loss"].backward()
    grads = {name: p.grad for name, p in model.prior.named_parameters()}
    assert grads
    assert all(grad is not None and grad.isfinite().all() for grad in grads.values())
    other = VAE((1, 28, 28), 4, Dense((16,)), prior=prior)
    other.load_state_dict(model.state_dict())
    codes = torch.randn(10, 4)
    assert_close(other.prior.log_prob(codes), model.prior.log_prob(codes))


def test_codes_of_one_image_are_held_out_together():
    """Else a Gaussian a code would be the best of mixtures, of images that are few."""
    images = torch.randn(60, 4)
    codes = images.repeat_interleave(20, dim=0) + 0.01 * torch.randn(1200, 4)
    assert GaussianMixture().fit(codes, per_image=20).components <= 3
    assert GaussianMixture().fit(codes).components >= 30
