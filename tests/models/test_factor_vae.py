"""The models that punish the total correlation of the codes."""

import math

import pytest
import torch

from lightning_gen.errors import UserError
from lightning_gen.models import VAE, BetaTCVAE, FactorVAE
from lightning_gen.networks import LatentDiscriminator
from support.models import batch_of, terms_of, tiny

IMAGES = torch.rand(32, 1, 28, 28)


@pytest.mark.parametrize(("kind", "weight"), [(BetaTCVAE, "beta"), (FactorVAE, "gamma")])
def test_the_loss_is_the_negative_elbo_and_the_weighted_total_correlation(kind, weight):
    terms = terms_of(tiny(kind, **{weight: 8.0}), IMAGES)
    factor = 7.0 if kind is BetaTCVAE else 8.0
    expected = terms.reconstruction + terms.kl + factor * terms.total_correlation
    assert terms.loss.item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize(
    ("kind", "arguments"), [(BetaTCVAE, {"beta": 1.0}), (FactorVAE, {"gamma": 0.0})]
)
def test_without_a_weight_it_is_the_vae(kind, arguments):
    vae, model = tiny(VAE), tiny(kind, **arguments)
    model.load_state_dict(vae.state_dict(), strict=False)
    losses = []
    for each in (vae, model):
        torch.manual_seed(0)
        losses.append(terms_of(each, IMAGES).loss.item())
    assert losses[0] == pytest.approx(losses[1])


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [(BetaTCVAE, {"beta": 0.5}), (FactorVAE, {"gamma": -1.0}), (FactorVAE, {"gamma": math.nan})],
)
def test_a_weight_that_is_none_is_refused(kind, arguments):
    with pytest.raises(UserError, match=f"{kind.__name__}.*total correlation"):
        tiny(kind, **arguments)


def test_each_player_moves_its_own_parameters():
    model = tiny(FactorVAE)
    moves = model.moves(batch_of(IMAGES), IMAGES)
    moves.discriminator().loss.backward()
    assert all(p.grad is None for p in model.encoder.parameters())
    assert all(p.grad is not None for p in model.discriminator.parameters())
    moves.autoencoder().loss.backward()
    assert all(p.grad is not None for p in model.encoder.parameters())


def test_the_discriminator_learns_the_total_correlation_of_a_gaussian():
    # Of two normal dimensions with correlation r it is -log(1 - r^2) / 2.
    correlation = 0.9
    model = tiny(
        FactorVAE, latent_dim=2, discriminator=LatentDiscriminator((64, 64), torch.nn.LeakyReLU)
    )
    optimizer = torch.optim.Adam(model.discriminator.parameters(), 3e-3)
    lower = torch.linalg.cholesky(torch.tensor([[1.0, correlation], [correlation, 1.0]]))
    for _ in range(400):
        codes = torch.randn(512, 2) @ lower.T
        optimizer.zero_grad()
        model._discriminator_terms(codes).loss.backward()
        optimizer.step()
    codes = torch.randn(20_000, 2) @ lower.T
    estimate = model.discriminator(codes).mean().item()
    assert estimate == pytest.approx(-0.5 * math.log(1 - correlation**2), abs=0.12)
