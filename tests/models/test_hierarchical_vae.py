"""The hierarchical VAE, against its definition in the codes themselves."""

import math

import pytest
import torch
from torch import nn
from torch.distributions import Normal, kl_divergence

from lightning_gen.models import HierarchicalVAE
from lightning_gen.networks import TopDown
from lightning_gen.objectives import DIP, ELBO, Bernoulli
from support.models import batch_of, build, terms_of
from support.refusals import assert_refused

SMALL = TopDown((8, 8, 8), (1, 2, 3))


def awake(image_shape=(1, 12, 20), architecture=SMALL):
    """A model whose layers that start at zero do not."""
    torch.manual_seed(1)
    model = HierarchicalVAE(image_shape, architecture, likelihood=Bernoulli())
    for parameter in model.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.3)
    return model


@torch.no_grad()
def test_the_kl_and_the_codes_are_those_of_the_gaussians_of_each_scale():
    """p(z_l | ..) and q(z_l | .., x) as the papers have them, rather than as the noise of p."""
    model, images = awake().double(), torch.rand(3, 1, 12, 20).double()
    torch.manual_seed(2)
    params, noise, _ = model.infer(images)
    kl, maps, features = 0, model.decoder.start.expand(3, -1, -1, -1), model.encoder(images)[::-1]
    used = 0
    for scale, seen in zip(model.decoder.scales, features, strict=True):
        maps = scale.grow(maps)
        mean, log_std = scale.prior(maps).chunk(2, dim=1)
        prior = Normal(mean, (3 * torch.tanh(log_std / 3)).exp())
        own_mean, own_log_std = scale.posterior(torch.cat([maps, seen], dim=1)).chunk(2, dim=1)
        posterior = Normal(
            prior.mean + prior.stddev * own_mean,
            prior.stddev * (3 * torch.tanh(own_log_std / 3)).exp(),
        )
        kl += kl_divergence(posterior, prior).sum((1, 2, 3))
        size = scale.code_shape.numel()
        part = noise[:, used : used + size].view(3, *scale.code_shape)
        used += size
        maps = scale.block(maps + scale.telling(prior.mean + prior.stddev * part))
    torch.testing.assert_close(params, model.decoder.output(maps)[..., :12, :20])
    torch.testing.assert_close(params, model.decoder(noise), rtol=1e-5, atol=1e-5)
    torch.manual_seed(2)
    terms = model.terms(batch_of(images), images)
    assert terms["kl"].item() == pytest.approx(kl.mean().item(), rel=1e-5)
    assert sum([*terms.values()][3:]).item() == pytest.approx(terms["kl"].item(), rel=1e-5)
    assert used == model.latent_dim == 3 * 2 * 3 + 2 * 3 * 5 + 1 * 6 * 10


@torch.no_grad()
def test_the_importance_weighted_bound_is_the_likelihood_by_quadrature():
    model = awake((1, 4, 4), TopDown((8, 8), (0, 1)))  # whose code is one number
    images = torch.bernoulli(torch.full((2, 1, 4, 4), 0.5))
    grid = torch.linspace(-8, 8, 4001)
    log_joint = torch.stack(
        [
            model.log_likelihood(image[None].expand(4001, -1, -1, -1), grid[:, None])
            + Normal(0, 1).log_prob(grid)
            for image in images
        ]
    )
    exact = torch.logsumexp(log_joint, dim=1) + math.log(grid[1] - grid[0])
    log_weights = model.log_weights(images, 20_000)
    found = torch.logsumexp(log_weights, dim=0) - math.log(20_000)
    torch.testing.assert_close(found, exact, atol=0.02, rtol=0)


def test_it_starts_where_the_images_tell_nothing():
    model = build(HierarchicalVAE)
    terms = terms_of(model, torch.rand(4, 1, 28, 28))
    assert terms["kl"].item() == 0
    logged = model.logged(terms)
    assert {"kl_14x14", "kl_7x7", "kl_4x4"} <= logged.keys() <= model.quantities.keys()


def test_numbers_that_are_too_large_give_a_finite_loss():
    """Standard deviations are bounded, whatever the layers before give."""
    model = awake()
    for scale in model.decoder.scales:
        nn.init.constant_(scale.posterior[-1].bias, 1e4)
        nn.init.constant_(scale.prior[-1].bias, 1e4)
    loss = terms_of(model, torch.rand(4, 1, 12, 20))["loss"]
    loss.backward()
    assert loss.isfinite()
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)


def test_refusals():
    for channels in ((1,), (1, 1, 0), (-1, 1, 1)):
        assert_refused("one number a scale, 0 for a scale without", TopDown, (8, 8, 8), channels)
    assert_refused(r"Choose ELBO\(\)", HierarchicalVAE, (1, 28, 28), objective=DIP())
    assert_refused("needs at least 8 pixels a side", HierarchicalVAE, (1, 4, 28))
    assert HierarchicalVAE((1, 28, 28), objective=ELBO(free_bits=0.1)).objective.free_bits == 0.1
