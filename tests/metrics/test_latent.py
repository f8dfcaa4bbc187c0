import numpy as np
import pytest
import torch
from torch.distributions import Normal, kl_divergence

from lightning_gen.metrics import ActiveUnits, KLPerDimension


@pytest.fixture
def posterior():
    return torch.randn(100, 7) * torch.linspace(0.01, 2, 7), torch.randn(100, 7)


def updated(metric, *tensors, batch_size=32):
    for batch in zip(*(tensor.split(batch_size) for tensor in tensors), strict=True):
        metric.update(*batch)
    return metric


def reference_kl(mean, log_var):
    prior = Normal(torch.zeros(()).double(), 1.0)
    return kl_divergence(Normal(mean.double(), (log_var.double() / 2).exp()), prior).mean(dim=0)


def test_kl_agrees_with_torch_distributions(posterior):
    metric = updated(KLPerDimension(7), *posterior)
    torch.testing.assert_close(metric.compute(), reference_kl(*posterior))


def test_kl_of_the_prior_is_zero():
    zeros = torch.zeros(5, 3)
    assert updated(KLPerDimension(3), zeros, zeros).compute().tolist() == [0, 0, 0]


def test_active_units_agree_with_numpy(posterior):
    mean, _ = posterior
    active = mean.numpy().var(axis=0) > 0.01
    metric = updated(ActiveUnits(7), mean)
    assert 0 < active.sum() < 7
    assert metric.dimensions().tolist() == active.tolist()
    assert metric.compute() == active.sum()


def test_a_small_variance_far_from_zero_is_seen():
    deviations = np.array([0.05, 0.2])
    mean = 1000 + torch.from_numpy(deviations * np.random.default_rng(0).normal(size=(5000, 2)))
    assert updated(ActiveUnits(2), mean.float()).dimensions().tolist() == [False, True]
