"""InfoVAE: its weights, its special cases, and what a large lambda does."""

from functools import partial

import pytest
import torch
from lightning.pytorch import Trainer
from torch.optim import Adam

from lightning_gen.data import MiniFashionMNIST
from lightning_gen.errors import UserError
from lightning_gen.models import VAE, BetaVAE, InfoVAE
from lightning_gen.networks import Dense
from lightning_gen.objectives import RBF, DiscretizedLogistic, InverseMultiquadratics
from lightning_gen.objectives.mmd import maximum_mean_discrepancy
from support.models import batch_of, terms_of

SHAPE = (1, 6, 5)
IMAGES = torch.randint(0, 256, (10, *SHAPE)) / 255


def small(kind=InfoVAE, **arguments):
    return kind(SHAPE, 3, architecture=Dense((8,)), **arguments)


def seeded_terms(model, images=IMAGES):
    torch.manual_seed(5)
    return terms_of(model, images)


@pytest.mark.parametrize("arguments", [{}, {"likelihood": DiscretizedLogistic()}])
@pytest.mark.parametrize(
    ("alpha", "lambda_", "other"),
    [(0.0, 1.0, VAE), (-3.0, 4.0, partial(BetaVAE, beta=4.0))],
    ids=["VAE", "BetaVAE"],
)
def test_special_cases(alpha, lambda_, other, arguments):
    """alpha = 0, lambda = 1 is the ELBO to the last bit; alpha + lambda = 1 is the beta-VAE."""
    reference = small(other, **arguments)
    model = small(alpha=alpha, lambda_=lambda_, **arguments)
    model.load_state_dict(reference.state_dict())
    expected, found = seeded_terms(reference), seeded_terms(model)
    for name in expected._fields:
        assert torch.equal(getattr(found, name), getattr(expected, name)), name


@pytest.mark.parametrize("kernel", [RBF((0.5, 2.0)), InverseMultiquadratics()])
@pytest.mark.parametrize(("alpha", "lambda_"), [(0.5, 20.0), (1.0, 3.0), (0.0, 4.0)])
def test_terms_by_hand(alpha, lambda_, kernel):
    model = small(alpha=alpha, lambda_=lambda_, kernel=kernel)
    found = seeded_terms(model)
    torch.manual_seed(5)
    posterior = model.posterior(IMAGES)
    normal = torch.distributions.Normal(posterior.mean, torch.exp(0.5 * posterior.log_var))
    codes = posterior.mean + normal.scale * torch.randn(10, 3)
    mmd = maximum_mean_discrepancy(codes, torch.randn(10, 3), kernel)
    prior = torch.distributions.Normal(0.0, 1.0)
    kl = torch.distributions.kl_divergence(normal, prior).sum() / 10
    reconstruction = -model.likelihood.log_prob(model.decoder(codes), IMAGES).mean()
    loss = reconstruction + (1 - alpha) * kl + (alpha + lambda_ - 1) * mmd
    expected = (loss, reconstruction, kl, mmd)
    assert found._fields == ("loss", "reconstruction", "kl", "mmd")
    torch.testing.assert_close(tuple(found), expected, rtol=1e-5, atol=1e-5)


def test_bits_per_dimension_are_those_of_the_bound():
    found = seeded_terms(small(alpha=0.5, lambda_=9.0, likelihood=DiscretizedLogistic()))
    nats = (found.reconstruction + found.kl).item()
    assert found.bits_per_dimension.item() == pytest.approx(nats / 0.6931471805599453 / 30)


def test_the_corruption_is_for_the_encoder_alone():
    model = small()
    torch.manual_seed(5)
    found = model.terms(batch_of(IMAGES), IMAGES.flip(0))
    torch.manual_seed(5)
    codes = model.posterior(IMAGES.flip(0)).sample()
    expected = -model.likelihood.log_prob(model.decoder(codes), IMAGES).mean()
    assert found.reconstruction.item() == pytest.approx(expected.item())


def test_one_image_is_enough_to_evaluate():
    found = terms_of(small(alpha=0.5), IMAGES[:1])
    assert found.mmd == 0
    assert torch.isfinite(found.loss)


def after_training(**weights):
    """Test images' reconstruction and KL in nats, and the MMD of their codes to the prior."""
    torch.manual_seed(0)
    data = MiniFashionMNIST(batch_size=100)
    optimizer = partial(Adam, lr=3e-3)
    model = InfoVAE(data.image_shape, 4, architecture=Dense((64,)), optimizer=optimizer, **weights)
    quiet = {"enable_progress_bar": False, "enable_model_summary": False}
    Trainer(accelerator="cpu", max_epochs=4, logger=False, enable_checkpointing=False, **quiet).fit(
        model, data
    )
    images = data.load_test().images / 255
    with torch.no_grad():
        terms = terms_of(model, images)
        codes = model.posterior(images).sample()
    mmd = maximum_mean_discrepancy(codes, torch.randn_like(codes), InverseMultiquadratics())
    return terms.reconstruction.item(), terms.kl.item(), mmd.item()


@pytest.mark.slow
def test_lambda_holds_the_codes_to_the_prior_without_a_kl():
    _, free_kl, free = after_training(alpha=1.0, lambda_=0.0)
    reconstruction, kl, held = after_training(alpha=1.0, lambda_=130.0)
    assert held < free / 5
    assert kl < free_kl
    assert reconstruction < 300  # the best constant image is at 385


@pytest.mark.parametrize("alpha", [1.5, float("nan"), -float("inf")])
def test_bad_alpha(alpha):
    with pytest.raises(UserError, match=f"alpha is finite and at most 1, .* got {alpha}"):
        small(alpha=alpha)


@pytest.mark.parametrize(("alpha", "lambda_"), [(0.0, 0.5), (-2.0, 2.0), (0.5, float("inf"))])
def test_bad_lambda(alpha, lambda_):
    with pytest.raises(UserError, match=f"got alpha {alpha} and lambda_ {lambda_}"):
        small(alpha=alpha, lambda_=lambda_)
