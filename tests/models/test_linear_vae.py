"""A linear VAE is probabilistic PCA, whose maximum likelihood is known (Tipping & Bishop 1999)."""

import math
from functools import partial

import pytest
import torch
from sklearn.decomposition import PCA
from torch.optim import Adam
from torch.optim.lr_scheduler import CosineAnnealingLR
from torch.utils.data import DataLoader

from lightning_gen.models import VAE
from lightning_gen.networks import Dense
from lightning_gen.objectives import Gaussian
from support.models import batch_of, terms_of, trainer_of

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("linear VAE")]  # one training for all

IMAGE_SHAPE = (1, 4, 4)
PIXELS, LATENT_DIM, EPOCHS = 16, 3, 300


def known_images(count=1000):
    """x = 1/2 + W z + noise, z ~ N(0, I), in [0, 1]."""
    basis, _ = torch.linalg.qr(torch.randn(PIXELS, LATENT_DIM))
    codes = torch.randn(count, LATENT_DIM) * torch.tensor([0.16, 0.12, 0.08])
    images = 0.5 + codes @ basis.T + 0.03 * torch.randn(count, PIXELS)
    assert images.min() > 0
    assert images.max() < 1
    return images.view(-1, *IMAGE_SHAPE)


def greatest_mean_log_likelihood(images):
    """Of scikit-learn, whose covariance is divided by N - 1: the data are scaled to undo it."""
    flat = images.flatten(1).double().numpy()
    centred = flat - flat.mean(axis=0)
    return PCA(LATENT_DIM).fit(centred * math.sqrt(1 - 1 / len(flat))).score(centred)


def mean_log_marginal(model, images):
    """Mean log N(x; b, W W^T + sigma^2 I) of the trained decoder, in nats per image."""
    weight, offset = linear_map(model.decoder, LATENT_DIM)
    noise = torch.exp(2 * model.likelihood.log_sigma.detach()).double()
    covariance = weight @ weight.T + noise * torch.eye(PIXELS).double()
    normal = torch.distributions.MultivariateNormal(offset, covariance)
    return normal.log_prob(images.flatten(1).double()).mean().item()


def linear_map(decoder, inputs):
    """W [pixels, inputs] and b of a decoder W z + b."""
    with torch.no_grad():
        rows = decoder(torch.cat([torch.zeros(1, inputs), torch.eye(inputs)])).flatten(1).double()
    return (rows[1:] - rows[0]).T, rows[0]


@pytest.fixture(scope="module")
def trained():
    torch.manual_seed(0)
    images = known_images()
    model = VAE(
        IMAGE_SHAPE,
        LATENT_DIM,
        Dense(()),
        likelihood=Gaussian(0.3, learned=True, bounded=False),
        optimizer=partial(Adam, lr=0.05),
        lr_scheduler=partial(CosineAnnealingLR, T_max=EPOCHS),
    )
    loader = DataLoader([batch_of(images)] * 10, batch_size=None)
    trainer_of(max_epochs=EPOCHS, log_every_n_steps=50).fit(model, loader)
    return model, images


def test_reaches_the_closed_form(trained):
    model, images = trained
    best = greatest_mean_log_likelihood(images)
    found = mean_log_marginal(model, images)
    assert found <= best + 1e-6
    assert found == pytest.approx(best, rel=0.005)


def test_learns_the_noise_and_the_subspace(trained):
    model, images = trained
    eigenvalues, vectors = torch.linalg.eigh(torch.cov(images.flatten(1).double().T, correction=0))
    noise = eigenvalues[:-LATENT_DIM].mean().sqrt().item()
    assert model.likelihood.log_sigma.exp().item() == pytest.approx(noise, rel=0.02)
    weight, _ = linear_map(model.decoder, LATENT_DIM)
    leading = vectors[:, -LATENT_DIM:]
    outside = weight - leading @ (leading.T @ weight)
    assert outside.norm() < 0.05 * weight.norm()


def test_the_bound_is_tight(trained):
    model, images = trained
    with torch.no_grad():
        bound = -terms_of(model, images.repeat(50, 1, 1, 1))["loss"].item()
    marginal = mean_log_marginal(model, images)
    assert bound <= marginal + 0.01  # the noise of 50,000 draws
    assert bound == pytest.approx(marginal, rel=0.005)
