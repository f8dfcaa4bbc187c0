import math

import pytest
import torch

from lightning_gen.metrics import BitsPerDimension, NegativeLogLikelihood
from lightning_gen.metrics.likelihood import dequantised, log_bin_volume


def test_nats_and_bits_of_known_probabilities():
    log_likelihood = torch.tensor([-8 * 12 * math.log(2)] * 3)  # uniform noise of 12 pixels
    nats, bits = NegativeLogLikelihood(), BitsPerDimension(12)
    nats.update(log_likelihood)
    bits.update(log_likelihood)
    assert nats.compute().value.item() == pytest.approx(96 * math.log(2))
    assert bits.compute().value.item() == pytest.approx(8)


def test_dequantised_images_fill_their_bins_evenly():
    levels = torch.arange(256) / 255
    images = levels.view(1, 1, 16, 16).repeat(100, 1, 1, 1)
    spread = dequantised(images, torch.rand_like(images))
    assert spread.min() >= 0
    assert spread.max() < 1
    assert torch.equal((spread * 256).floor(), (images * 255).round())
    assert (spread * 256 % 1).mean().item() == pytest.approx(0.5, abs=0.01)


def test_a_uniform_density_costs_eight_bits_a_pixel():
    # p(y) = 1 on [0, 1)^D gives every 8-bit image the probability 256^-D.
    bits = BitsPerDimension(784)
    bits.update(torch.zeros(5) + log_bin_volume(784))
    assert bits.compute().value.item() == pytest.approx(8)


def test_dequantisation_bounds_the_probability_of_a_bin_from_below():
    # A normal density over one pixel against the mass of its bin.
    normal = torch.distributions.Normal(0.5, 0.02)
    images = torch.full((20_000, 1, 1, 1), 130 / 255)
    mass = (normal.cdf(torch.tensor(131 / 256)) - normal.cdf(torch.tensor(130 / 256))).log()
    bound = normal.log_prob(dequantised(images, torch.rand_like(images))).mean() + log_bin_volume(1)
    assert bound.item() == pytest.approx(mass.item(), abs=0.02)
    assert bound <= mass
