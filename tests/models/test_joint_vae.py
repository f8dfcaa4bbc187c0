"""JointVAE, against torch.distributions and sums over all values of its categories."""

import math

import pytest
import torch
from scipy.stats import chisquare
from torch import distributions as D
from torch.testing import assert_close

from lightning_gen.models import JointVAE
from lightning_gen.networks import Dense
from lightning_gen.objectives import DIP, ELBO
from lightning_gen.objectives.categorical import Categorical
from support.models import batch_of
from support.refusals import assert_refused

LOGITS = torch.tensor([[2.0, 0.0, -1.0, 1.0, 0.5]])
POSTERIOR = Categorical.from_logits(LOGITS, (3, 2))
PARTS = LOGITS[:, :3], LOGITS[:, 3:]


def joint(**options):
    torch.manual_seed(0)
    return JointVAE((1, 3, 4), 2, (3, 2), architecture=Dense((8,)), **options)


def test_the_kl_and_the_probabilities():
    kl = [D.kl_divergence(D.Categorical(logits=x), D.Categorical(logits=0 * x)) for x in PARTS]
    assert_close(POSTERIOR.kl_to_uniform(), torch.stack(kl, dim=1))
    codes = torch.tensor([[0.0, 0, 1, 1, 0]])
    expected = PARTS[0].log_softmax(dim=1)[0, 2] + PARTS[1].log_softmax(dim=1)[0, 0]
    assert_close(POSTERIOR.log_prob(codes)[0], expected)
    assert POSTERIOR.mode().tolist() == [[1, 0, 0, 1, 0]]


def test_draws_have_the_probabilities_and_relaxed_ones_their_order():
    torch.manual_seed(0)
    many = POSTERIOR.repeated(20_000)
    for drawn in (many.sample(), many.relaxed(0.3)):
        for part, logits in zip(drawn.split([3, 2], dim=1), PARTS, strict=True):
            assert_close(part.sum(dim=1), torch.ones(20_000))
            counts = part.argmax(dim=1).bincount()
            assert chisquare(counts, 20_000 * logits.double().softmax(dim=1)[0]).pvalue > 1e-4
    cool, warm = (many.relaxed(t).max(dim=1).values.mean() for t in (0.1, 5.0))
    assert cool > 0.97
    assert warm < 0.7


def test_the_loss_is_the_paper_s():
    """Equation 7, in float64: gamma |KL - C| of both parts."""
    objectives = ELBO(30.0, capacity=5.0), ELBO(20.0, capacity=1.0)
    model = joint(objective=objectives[0], categorical_objective=objectives[1])
    images = torch.rand(7, 1, 3, 4)
    terms = model.terms(batch_of(images), images)
    features = model.encoder(images).double()
    normal = D.Normal(features[:, :2], (0.5 * features[:, 2:4]).exp())
    kl = D.kl_divergence(normal, D.Normal(0.0, 1.0)).sum(dim=1).mean()
    entropies = [D.Categorical(logits=x).entropy() for x in features[:, 4:].split([3, 2], dim=1)]
    kl_categories = math.log(6) - sum(entropies).mean()
    expected = terms["reconstruction"] + 30 * abs(kl - 5) + 20 * abs(kl_categories - 1)
    assert terms["loss"].item() == pytest.approx(expected.item(), rel=1e-5)
    assert terms["kl_categories"].item() == pytest.approx(kl_categories.item(), rel=1e-5)
    logged = model.logged(terms)
    assert logged["kl"] == terms["kl"]


@torch.no_grad()
def test_the_bound_is_the_likelihood_summed_over_the_categories():
    model, images = joint(), torch.rand(3, 1, 3, 4)
    latents = torch.randn(20_000, 2)
    evidence = []
    for first in torch.eye(3):
        for second in torch.eye(2):
            chosen = torch.cat([first, second]).expand(20_000, -1)
            codes = torch.cat([latents, chosen], dim=1)
            fits = [model.log_likelihood(x[None].expand(20_000, -1, -1, -1), codes) for x in images]
            evidence.append(torch.stack(fits, dim=1))
    exact = torch.cat(evidence).logsumexp(dim=0) - math.log(120_000)
    found = model.log_weights(images, 20_000).logsumexp(dim=0) - math.log(20_000)
    assert_close(found, exact, atol=0.03, rtol=0)
    drawn = model.prior.sample(1000)
    assert_close(drawn[:, 2:].sum(dim=1), torch.full((1000,), 2.0))
    expected = D.Normal(0.0, 1.0).log_prob(drawn[:, :2]).sum(dim=1) - math.log(6)
    assert_close(model.prior.log_prob(drawn), expected)


def test_refusals():
    assert_refused("number of values of each discrete variable", JointVAE, (1, 8, 8), 2, (1,))
    assert_refused("temperature", JointVAE, (1, 8, 8), temperature=0.0)
    assert_refused(r"are ELBO\(\)", JointVAE, (1, 8, 8), categorical_objective=DIP())
