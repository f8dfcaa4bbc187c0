import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from lightning_gen.metrics.disentanglement import BetaVAEScore, FactorVAEScore
from lightning_gen.metrics.disentanglement.sampled_scores import draw_differences, draw_subsets


def factor_vae_by_a_loop(codes, factors, votes, batch_size=64):
    codes, factors, draw = codes.double().numpy(), factors.numpy(), np.random.default_rng(0)
    variance = codes.var(axis=0, ddof=1)
    active = [j for j in range(codes.shape[1]) if variance[j] >= 0.05**2]
    found = []
    for _ in range(votes):
        k = draw.integers(factors.shape[1])
        value = factors[draw.integers(len(codes)), k]
        sharers = np.flatnonzero(factors[:, k] == value)
        batch = codes[draw.choice(sharers, batch_size, replace=len(sharers) < batch_size)]
        quietest = np.argmin(batch.var(axis=0, ddof=1)[active] / variance[active])
        found.append((k, quietest))
    train, test = found[: votes // 3 * 2], found[votes // 3 * 2 :]
    majority = {}
    for dimension in range(len(active)):
        factors_voted = [k for k, quietest in train if quietest == dimension]
        majority[dimension] = max(set(factors_voted), key=factors_voted.count, default=0)
    return np.mean([majority[quietest] == k for k, quietest in test])


@pytest.mark.parametrize("images", [150, 2000])
def test_factor_vae_agrees_with_a_loop(rotated, factors, images):
    codes = torch.cat([rotated, 0.04 * torch.randn(2000, 1)], dim=1)[:images]
    expected = factor_vae_by_a_loop(codes, factors[:images], 12_000)
    assert 0.45 < expected < 0.95
    found = FactorVAEScore().score(codes, factors[:images])
    assert found.item() == pytest.approx(expected, abs=0.02)


def test_the_scale_of_a_dimension_does_not_change_the_votes(rotated, factors):
    rescaled = rotated * torch.tensor([1.0, 64.0, 0.5])
    assert FactorVAEScore().score(rescaled, factors) == FactorVAEScore().score(rotated, factors)


def test_a_code_below_the_activity_limit_is_worth_nothing(truth, factors):
    assert FactorVAEScore().score(0.04 * truth, factors) == 0
    assert FactorVAEScore().score(0.06 * truth, factors) == 1  # a standard deviation of 0.06


def beta_vae_by_a_loop(codes, factors, points, pairs=64):
    codes, factors, draw = codes.double().numpy(), factors.numpy(), np.random.default_rng(0)
    drawn, features = draw.integers(factors.shape[1], size=points), []
    sharers = [[np.flatnonzero(column == v) for v in range(5)] for column in factors.T]
    for k in drawn:
        first = draw.integers(len(codes), size=pairs)
        second = [draw.choice(sharers[k][factors[i, k]]) for i in first]
        features.append(np.abs(codes[first] - codes[second]).mean(axis=0))
    cut = points // 3 * 2
    model = LogisticRegression(max_iter=10_000).fit(features[:cut], drawn[:cut])
    return model.score(features[cut:], drawn[cut:])


def test_beta_vae_agrees_with_a_loop(factors):
    codes = factors + 2 * torch.randn(2000, 3)
    expected = beta_vae_by_a_loop(codes, factors, 3000, pairs=16)
    assert 0.4 < expected < 0.9
    found = BetaVAEScore(pairs=16).score(codes, factors)
    assert found.item() == pytest.approx(expected, abs=0.03)


@pytest.mark.parametrize("kind", [FactorVAEScore, BetaVAEScore])
def test_other_draws_than_the_trained_ones_are_tested(kind, factors):
    codes = torch.randn(2000, 20)
    scores = torch.stack([kind(40, 40, seed=seed).score(codes, factors) for seed in range(10)])
    assert scores.mean().item() == pytest.approx(1 / 3, abs=0.1)


def test_pairs_share_the_factor_and_are_two_images():
    factors = torch.stack([torch.randint(3, (500,)), torch.arange(500) // 2], dim=1)
    codes = torch.cat([factors, torch.arange(500)[:, None]], dim=1).double()
    factor, difference = draw_differences(codes, factors, 200, 1, seed=0)
    assert difference.gather(1, factor[:, None]).abs().max() == 0
    assert 0 < difference[:, 2].min() <= difference[:, 2].max() < 500
    assert difference[factor == 1, 2].max() == 1
    assert set(factor.tolist()) == {0, 1}


def test_subsets_are_distinct_and_fair():
    limits = torch.full((20_000,), 7)
    subsets = draw_subsets(limits, 4, torch.Generator().manual_seed(0))
    assert all(len(set(subset)) == 4 for subset in subsets.tolist())
    shares = subsets.flatten().bincount(minlength=7) / len(limits)
    assert shares.tolist() == pytest.approx([4 / 7] * 7, abs=0.02)
