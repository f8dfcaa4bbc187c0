import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import distributions as D
from torch.testing import assert_close

from lightning_gen.errors import UserError
from lightning_gen.objectives import ELBO, DiagonalGaussian

LOG_LIKELIHOOD = torch.tensor([-100.0, -300.0])
KL = torch.tensor([[0.5, 2.0, 3.0], [0.3, 4.0, 5.0]])  # sums 5.5 and 9.3, means .4, 3, 4


@given(beta=st.floats(0, 10))
def test_loss_is_the_mean_of_the_images_bounds(beta):
    terms = ELBO(beta)(LOG_LIKELIHOOD, KL)
    assert terms.reconstruction.item() == 200
    assert terms.kl.item() == pytest.approx(7.4)
    assert terms.loss.item() == pytest.approx((100 + 300 + beta * (5.5 + 9.3)) / 2)


def test_it_bounds_the_evidence():
    """A linear Gaussian model, whose evidence has a closed form: tight at the true posterior."""
    sigma, x = 0.5, torch.tensor([1.3])
    evidence = D.Normal(0.0, math.sqrt(1 + sigma**2)).log_prob(x)
    variance = sigma**2 / (1 + sigma**2)
    exact = (x.item() / (1 + sigma**2), math.log(variance))
    for mean, log_var in [exact, (0.0, 0.0), (1.0, -1.0)]:
        posterior = DiagonalGaussian(torch.tensor([[mean]]), torch.tensor([[log_var]]))
        z = DiagonalGaussian(*(p.repeat(200_000, 1) for p in posterior)).sample()
        log_likelihood = D.Normal(z, sigma).log_prob(x).mean(dim=0)
        bound = -ELBO()(log_likelihood, posterior.kl_to_standard_normal()).loss
        if (mean, log_var) == exact:
            assert_close(bound, evidence[0], rtol=0, atol=0.01)
        else:
            assert bound < evidence - 0.05


def test_warmup_is_linear_and_ends_at_beta():
    elbo = ELBO(beta=4.0, warmup_steps=10)
    weights = [
        (elbo(LOG_LIKELIHOOD, KL, step).loss.item() - 200) / 7.4 for step in (0, 1, 5, 10, 11, 1000)
    ]
    assert weights == pytest.approx([0, 0.4, 2, 4, 4, 4], abs=1e-4)


def test_free_bits_cost_nothing_below_the_limit():
    terms = ELBO(beta=2.0, free_bits=3.5)(LOG_LIKELIHOOD, KL, 0)
    assert terms.loss.item() == pytest.approx(200 + 2 * (3.5 + 3.5 + 4))
    assert terms.kl.item() == pytest.approx(7.4)


def test_free_bits_give_no_gradient_below_the_limit():
    kl = KL.clone().requires_grad_()
    ELBO(free_bits=3.5)(LOG_LIKELIHOOD, kl, 0).loss.backward()
    assert_close(kl.grad, torch.tensor([[0, 0, 0.5], [0, 0, 0.5]]))


def test_evaluation_ignores_warmup_and_free_bits():
    plain, aided = ELBO(beta=2.0), ELBO(beta=2.0, warmup_steps=100, free_bits=10.0)
    assert aided(LOG_LIKELIHOOD, KL) == plain(LOG_LIKELIHOOD, KL)
    assert aided(LOG_LIKELIHOOD, KL, 0) != plain(LOG_LIKELIHOOD, KL, 0)


def test_without_aids_training_and_evaluation_agree():
    assert ELBO(beta=2.0)(LOG_LIKELIHOOD, KL, 7) == ELBO(beta=2.0)(LOG_LIKELIHOOD, KL)


BAD_VALUES = [
    *((name, value) for name in ("beta", "free_bits") for value in (-1.0, math.nan, math.inf)),
    ("warmup_steps", -1),
]


@pytest.mark.parametrize(("name", "value"), BAD_VALUES)
def test_bad_values(name, value):
    with pytest.raises(UserError, match=f"{name} is .* got {value}"):
        ELBO(**{name: value})
