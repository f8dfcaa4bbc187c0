import pytest
import torch

from lightning_gen.metrics import disentanglement as d

SCORES = {
    "mig": d.MIG().score,
    "factor_vae": d.FactorVAEScore().score,
    "beta_vae": d.BetaVAEScore().score,
    "modularity": d.Modularity().score,
    "dci": d.DCI(trees=10).score,
    "sap": d.SAP().score,
}


def permuted_and_rescaled(codes):
    return codes[:, [2, 0, 1]] * torch.tensor([-0.7, 3.0, 1.5]) + 5


def with_unused_dimensions(codes):
    return torch.cat([codes, torch.ones(len(codes), 1), 0.1 * torch.randn(len(codes), 1)], dim=1)


@pytest.mark.parametrize("change", [torch.clone, permuted_and_rescaled, with_unused_dimensions])
@pytest.mark.parametrize("name", [name for name in SCORES if name != "sap"])
def test_the_factors_themselves_are_a_perfect_code(name, change, truth, factors):
    assert (SCORES[name](change(truth), factors) - 1).abs().max() <= 0.03


@pytest.mark.parametrize("change", [torch.clone, permuted_and_rescaled, with_unused_dimensions])
def test_sap_of_two_valued_factors_reaches_a_half(change):
    factors = torch.randint(2, (2000, 3))
    score = SCORES["sap"](change(factors.float()), factors)
    assert score.item() == pytest.approx(0.5, abs=0.04)


@pytest.mark.parametrize(
    "make", [lambda truth: truth[torch.randperm(len(truth))], torch.randn_like]
)
@pytest.mark.parametrize(
    ("name", "chance", "tolerance"),
    [
        ("mig", 0, 0.02),
        ("factor_vae", 1 / 3, 0.05),
        ("beta_vae", 1 / 3, 0.05),
        ("modularity", 0, 0),
        ("dci", [0, 0, (1 / 3 + 1 / 4 + 1 / 5) / 3], [0.1, 0.1, 0.05]),
        ("sap", 0, 0.05),
    ],
)
def test_a_code_that_says_nothing_is_at_chance(name, chance, tolerance, make, truth, factors):
    found = SCORES[name](make(truth), factors)
    assert ((found - torch.tensor(chance)).abs() <= torch.tensor(tolerance)).all()


@pytest.mark.parametrize(
    ("name", "limit"),
    [("mig", 0.3), ("factor_vae", 0.8), ("modularity", 0.8), ("dci", [0.5, 0.5, 1.0])],
)
def test_a_rotated_code_is_clearly_below(name, limit, rotated, factors):
    assert (SCORES[name](rotated, factors) < torch.tensor(limit)).all()


@pytest.mark.parametrize("gap", ["sap", "mig"])
def test_the_gap_of_a_code_said_twice_is_nothing(gap, truth, factors):
    assert SCORES[gap](truth.repeat(1, 2), factors) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("name", SCORES)
def test_a_constant_factor_changes_nothing(name, noisy, factors):
    with_constant = torch.cat([factors[:, :1], torch.full((2000, 1), 7), factors[:, 1:]], dim=1)
    assert torch.equal(SCORES[name](noisy, with_constant), SCORES[name](noisy, factors))


@pytest.mark.parametrize(("codes", "most"), [(torch.ones(500, 4), 0.6), (torch.randn(500, 1), 1)])
@pytest.mark.parametrize("name", SCORES)
def test_constant_codes_and_single_dimensions_have_a_score(name, codes, most):
    factors = torch.randint(3, (500, 2))
    for some, limit in ((factors, most), (factors[:, :1], 1)):
        found = SCORES[name](codes, some)
        assert ((found >= 0) & (found <= limit)).all()
