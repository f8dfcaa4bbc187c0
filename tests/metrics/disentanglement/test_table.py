import numpy as np
import pytest
import torch

from lightning_gen.errors import UserError
from lightning_gen.metrics.disentanglement import MIG
from support.refusals import assert_refused
from support.scores import metrics, updated


def numbers(metric, codes, factors, batch_size=64):
    updated(metric, codes, factors, batch_size=batch_size)
    return np.array(metric.compute()).flatten().tolist()


def random_states():
    return torch.get_rng_state().tolist(), str(np.random.get_state(legacy=False))


@pytest.mark.parametrize("name", metrics())
def test_the_order_of_arrival_does_not_matter(name, noisy, factors):
    noisy, factors = noisy[:400], factors[:400]
    order = torch.randperm(400)
    states = random_states()
    first = numbers(metrics()[name], noisy, factors)
    assert random_states() == states
    second = numbers(metrics()[name], noisy[order], factors[order], batch_size=37)
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("name", ["dci", "factor_vae", "beta_vae", "sap"])
def test_the_seed_matters_where_something_is_drawn(name, rotated, factors):
    found = []
    for seed in range(5):
        metric = metrics()[name]
        metric.seed = seed
        found.append(tuple(numbers(metric, rotated[:400], factors[:400])[::2]))
    assert len(set(found)) > 1


def test_only_smooth_scores_have_a_standard_error(noisy, factors):
    for name, metric in metrics().items():
        found = numbers(metric, noisy[:400], factors[:400])
        assert np.isfinite(found[1::2]).all() == (name in ("mig", "total_correlation"))


def test_a_factor_that_one_image_alone_varies_has_no_standard_error():
    factors = torch.zeros(200, 1, dtype=torch.long)
    factors[17] = 1
    value, error = numbers(MIG(), torch.randn(200, 2), factors)
    assert value > 0
    assert np.isnan(error)


def test_float_and_half_codes_and_whole_floats_as_factors_are_taken(noisy, factors):
    expected = numbers(MIG(), noisy.half().float(), factors)
    assert numbers(MIG(), noisy.half(), factors.float()) == expected


@pytest.mark.parametrize("name", metrics())
@pytest.mark.filterwarnings("ignore:The ``compute`` method of metric .* was called before")
def test_too_few_images_are_refused(name, noisy, factors):
    assert_refused("has seen no image", metrics()[name].compute)
    with pytest.raises(UserError, match="at least 100 images, got 99"):
        numbers(metrics()[name], noisy[:99], factors[:99])


@pytest.mark.parametrize("name", [name for name in metrics() if name != "total_correlation"])
def test_factors_of_one_value_are_refused(name, noisy):
    with pytest.raises(UserError, match="two values, got 2 factors without"):
        numbers(metrics()[name], noisy, torch.ones(2000, 2))


def test_fractions_as_factors_are_refused(noisy, factors):
    assert_refused("class numbers, got fractions", MIG().update, noisy, factors / 2)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_codes_that_are_not_finite_are_refused(value, noisy, factors):
    noisy[3, 1] = value
    assert_refused("finite codes", numbers, MIG(), noisy, factors)
