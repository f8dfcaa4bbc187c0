import pytest
import torch


@pytest.fixture
def factors():
    """2000 images of three factors that have 3, 4 and 5 values."""
    return torch.stack([torch.randint(size, (2000,)) for size in (3, 4, 5)], dim=1)


@pytest.fixture
def truth(factors):
    """The factors themselves as codes, with mean 0 and variance 1."""
    return ((factors - factors.double().mean(dim=0)) / factors.double().std(dim=0)).float()


@pytest.fixture
def rotated(truth):
    """The perfect code, rotated so that each factor is in all three dimensions."""
    return truth @ torch.tensor([[2.0, 2.0, -1.0], [-1.0, 2.0, 2.0], [2.0, -1.0, 2.0]]) / 3


@pytest.fixture
def noisy(truth):
    """A code between the best and the worst: two factors mixed, one of them noisy, and noise."""
    mixed = truth + 0.5 * truth.roll(1, dims=1) + 0.5 * torch.randn_like(truth)
    return torch.cat([mixed, torch.randn(len(truth), 1)], dim=1)
