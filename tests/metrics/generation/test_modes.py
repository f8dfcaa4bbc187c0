"""Modes found and the divergence from an even distribution, against closed forms and scipy's."""

import math

import pytest
import torch
from scipy.stats import entropy

from lightning_gen.errors import UserError
from lightning_gen.metrics.generation import ModeCounts


def found(modes, size=1000):
    metric = ModeCounts(size)
    for part in modes.split(300):
        metric.update(part)
    value = metric.compute()
    assert all(math.isnan(estimate.standard_error) for estimate in value)
    return value.found.value.item(), value.kl.value.item()


@pytest.mark.parametrize("kept", [1, 500, 1000])
def test_even_use_of_some_modes(kept):
    modes = torch.arange(2000) % kept
    assert found(modes) == (kept, pytest.approx(math.log(1000 / kept), abs=1e-12))


def test_uneven_use_is_as_scipy_has_it():
    counts = torch.tensor([5, 0, 70, 1, 24])
    expected = entropy(counts.numpy(), [0.2] * 5)
    modes = torch.arange(5).repeat_interleave(counts)
    assert found(modes, 5) == (4, pytest.approx(expected))


def test_the_bias_of_few_images_is_the_one_that_is_stated():
    number, kl = found(torch.randint(1000, (26_000,)))
    assert number == 1000
    assert kl == pytest.approx(999 / 52_000, abs=4 * math.sqrt(2 * 999) / 52_000)


def test_no_image():
    with pytest.raises(UserError, match="ModeCounts has seen no image"):
        found(torch.empty(0, dtype=torch.int64))
