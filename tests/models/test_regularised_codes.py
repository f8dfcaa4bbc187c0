"""Models that hold their codes to a distribution: WAE, InfoVAE, beta-TC-VAE and FactorVAE."""

import math
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from lightning.pytorch.callbacks import LambdaCallback
from torch.optim import SGD, Adam
from torch.optim.lr_scheduler import ReduceLROnPlateau

from lightning_gen.data import MiniFashionMNIST
from lightning_gen.models import AAE, AE, DIPVAE, RAE, WAE, WAEGAN, BetaTCVAE, FactorVAE, InfoVAE
from lightning_gen.models.factor_vae import CodesAndPermuted
from lightning_gen.networks import Dense, LatentDiscriminator
from lightning_gen.objectives import RBF, Bernoulli, Gaussian, InverseMultiquadratics
from lightning_gen.objectives.mmd import maximum_mean_discrepancy
from support.models import batch_of, loader_of, terms_of, tiny, trainer_of
from support.refusals import assert_refused

SHAPE = (1, 6, 5)
IMAGES = torch.randint(0, 256, (32, *SHAPE)) / 255
FEW = IMAGES[:10]
MANY = torch.rand(32, 1, 28, 28)
SMALL = {"latent_dim": 3, "architecture": Dense((8,))}
small_gan = partial(WAEGAN, SHAPE, discriminator=LatentDiscriminator((8,)), weight=2.0, **SMALL)
small_wae = partial(WAE, SHAPE, **SMALL)
small_info_vae = partial(InfoVAE, SHAPE, **SMALL)


def known_prior(n):
    """In place of draws, where a test computes the same batch twice."""
    return torch.linspace(-2, 2, 3 * n).view(n, 3)


class TestTerms:
    @pytest.mark.parametrize("sigma", [1.0, 0.5])
    def test_gaussian_cost_is_the_papers_squared_error(self, sigma):
        """loss = (||x - x'||^2 + 2 sigma^2 weight MMD) / (2 sigma^2) and a constant."""
        model = small_wae(weight=7.0, likelihood=Gaussian(sigma))
        torch.manual_seed(4)
        terms = terms_of(model, FEW)
        torch.manual_seed(4)
        codes = model.encode(FEW)
        mmd = maximum_mean_discrepancy(codes, torch.randn(10, 3), InverseMultiquadratics())
        squared = (model.reconstruct(FEW) - FEW).square().sum() / 10
        constant = 30 * torch.log(torch.tensor(sigma * (2 * torch.pi) ** 0.5))
        reconstruction = (squared / (2 * sigma**2) + constant).item()
        assert terms["mmd"].item() == pytest.approx(mmd.item())
        assert terms["reconstruction"].item() == pytest.approx(reconstruction, rel=1e-5)
        assert terms["loss"].item() == pytest.approx((terms["reconstruction"] + 7 * mmd).item())

    @pytest.mark.parametrize("kind", [WAEGAN, AAE])
    def test_adversarial_terms_by_hand(self, kind):
        model = kind(SHAPE, discriminator=LatentDiscriminator((8,)), weight=2.0, **SMALL)
        torch.manual_seed(4)
        terms = terms_of(model, FEW)
        torch.manual_seed(4)
        prior, codes = torch.randn(10, 3), model.encode(FEW)
        judged = (model.discriminator(z) for z in (prior, codes))
        on_prior, on_codes = (torch.sigmoid(scores).double() for scores in judged)
        mmd = maximum_mean_discrepancy(codes, prior, InverseMultiquadratics())
        by_hand = {
            "adversarial": -on_codes.log().mean(),
            "discriminator_loss": -on_prior.log().mean() - (1 - on_codes).log().mean(),
            "prior_score": torch.logit(on_prior).mean(),
            "code_score": torch.logit(on_codes).mean(),
            "mmd": mmd,
            "loss": terms["reconstruction"] + 2 * mmd,
        }
        found = {name: terms[name].item() for name in by_hand}
        assert found == pytest.approx({k: v.item() for k, v in by_hand.items()}, abs=1e-5)

    @pytest.mark.parametrize("of_codes", [False, True])
    def test_dip_vae_by_numpy(self, of_codes):
        model = DIPVAE(SHAPE, off_diagonal=3.0, diagonal=5.0, of_codes=of_codes, **SMALL)
        terms = terms_of(model, FEW)
        posterior = model.posterior(FEW)
        covariance = np.cov(posterior.mean.detach().double().numpy().T, bias=True)
        if of_codes:
            covariance += np.diag(posterior.log_var.detach().double().exp().mean(dim=0).numpy())
        off_diagonal = sum(covariance[i, j] ** 2 for i in range(3) for j in range(3) if i != j)
        diagonal = sum((covariance[i, i] - 1) ** 2 for i in range(3))
        assert terms["off_diagonal"].item() == pytest.approx(off_diagonal, rel=1e-5)
        assert terms["diagonal"].item() == pytest.approx(diagonal, rel=1e-5)
        penalty = 3 * terms["off_diagonal"] + 5 * terms["diagonal"]
        assert terms["loss"].item() == pytest.approx(
            (terms["reconstruction"] + terms["kl"] + penalty).item()
        )

    def test_regularised_autoencoder_by_its_jacobian(self):
        model = RAE(SHAPE, code=0.5, weights=0.25, gradient=2.0, **SMALL)
        codes = model.encode(FEW)
        jacobian = torch.func.vmap(torch.func.jacrev(lambda z: model.decode(z[None])[0]))(codes)
        drawn = [terms_of(model, FEW, training_step=0) for _ in range(400)]
        gradient_norm = torch.stack([terms["gradient_norm"] for terms in drawn]).mean()
        assert gradient_norm.item() == pytest.approx(jacobian.square().sum().item() / 10, rel=0.1)
        terms = drawn[0]
        by_hand = {
            "code_norm": 0.5 * codes.square().sum() / 10,
            "weight_norm": 0.5 * sum(w.square().sum() for w in model.decoder.parameters()),
            "loss": terms["reconstruction"]
            + 0.5 * terms["code_norm"]
            + 0.25 * terms["weight_norm"]
            + 2 * terms["gradient_norm"],
        }
        found = {name: terms[name].item() for name in by_hand}
        assert found == pytest.approx({k: v.item() for k, v in by_hand.items()}, rel=1e-5)
        quiet = terms_of(model, FEW)
        assert quiet["loss"].item() == pytest.approx(
            (quiet["reconstruction"] + 0.5 * quiet["code_norm"]).item()
        )
        terms["gradient_norm"].backward()
        assert all(p.grad is not None for p in model.decoder[0].parameters())


@torch.no_grad()
def descend(loss, parameters):
    with torch.enable_grad():
        gradients = torch.autograd.grad(loss, parameters)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter -= 0.1 * gradient


class TestUpdates:
    def test_the_discriminator_learns_first_and_from_the_same_codes(self):
        model = small_gan(optimizer=partial(SGD, lr=0.1), likelihood=Gaussian(learned=True))
        reference = small_gan(likelihood=Gaussian(learned=True))
        reference.load_state_dict(model.state_dict())
        model.sample_codes = known_prior
        loader = loader_of(IMAGES[:8])
        images = next(iter(loader)).images
        trainer_of().fit(model, loader)

        codes, prior = reference.encode(images), known_prior(8)
        judge = reference.discriminator
        judged = F.softplus(-judge(prior)).mean() + F.softplus(judge(codes.detach())).mean()
        descend(judged, [*judge.parameters()])
        log_prob = reference.likelihood.log_prob(reference.decoder(codes), images)
        loss = -log_prob.mean() + 2 * F.softplus(-judge(codes)).mean()
        parts = reference.encoder, reference.decoder, reference.likelihood
        others = [parameter for part in parts for parameter in part.parameters()]
        descend(loss, others)
        torch.testing.assert_close(dict(model.state_dict()), dict(reference.state_dict()))

    def test_training_logs_both_players(self):
        trainer = trainer_of()
        model = small_gan()
        trainer.fit(model, loader_of(IMAGES), loader_of(IMAGES))
        logged = {k: v.item() for k, v in trainer.callback_metrics.items()}
        for stage, term in (("train", "adversarial"), ("val", "mmd")):
            expected = logged[f"{stage}/reconstruction"] + 2 * logged[f"{stage}/{term}"]
            assert logged[f"{stage}/loss"] == pytest.approx(expected)
        assert {"train/discriminator_loss", "train/prior_score", "train/code_score"} <= {*logged}

    def test_a_plateau_scheduler_watches_the_validation_loss(self):
        scheduler = partial(ReduceLROnPlateau, patience=0, factor=0.5, threshold=1e9)
        model = small_gan(optimizer=partial(SGD, lr=1e-3), lr_scheduler=scheduler)
        trainer = trainer_of(max_epochs=3)
        trainer.fit(model, loader_of(IMAGES), loader_of(IMAGES))
        rates = [optimizer.param_groups[0]["lr"] for optimizer in trainer.optimizers]
        assert max(rates) < 1e-3

    def test_the_autoencoder_waits_for_its_turn(self):
        model, seen = small_gan(discriminator_steps=3), []
        bias = model.encoder[-1].bias
        note = LambdaCallback(on_train_batch_start=lambda *_: seen.append(bias.sum()))
        trainer_of(note).fit(model, loader_of(IMAGES[:28], 4))
        assert [now != before for before, now in pairwise(seen)] == [False, False, True] * 2


@pytest.mark.parametrize("kernel", [RBF((0.5, 2.0)), InverseMultiquadratics()])
@pytest.mark.parametrize(("alpha", "lambda_"), [(0.5, 20.0), (1.0, 3.0), (0.0, 4.0)])
def test_terms_of_an_info_vae_by_hand(alpha, lambda_, kernel):
    model = small_info_vae(alpha=alpha, lambda_=lambda_, kernel=kernel)
    torch.manual_seed(5)
    found = terms_of(model, FEW)
    torch.manual_seed(5)
    posterior = model.posterior(FEW)
    normal = torch.distributions.Normal(posterior.mean, torch.exp(0.5 * posterior.log_var))
    codes = posterior.mean + normal.scale * torch.randn(10, 3)
    mmd = maximum_mean_discrepancy(codes, torch.randn(10, 3), kernel)
    prior = torch.distributions.Normal(0.0, 1.0)
    kl = torch.distributions.kl_divergence(normal, prior).sum() / 10
    reconstruction = -model.likelihood.log_prob(model.decoder(codes), FEW).mean()
    loss = reconstruction + (1 - alpha) * kl + (alpha + lambda_ - 1) * mmd
    expected = (loss, reconstruction, kl, mmd)
    assert [*found] == ["loss", "reconstruction", "kl", "mmd"]
    torch.testing.assert_close(tuple(found.values()), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("build", [small_wae, small_gan, partial(small_info_vae, alpha=0.5)])
def test_one_image_is_enough_to_evaluate(build):
    terms = terms_of(build(), FEW[:1])
    assert terms["mmd"] == 0
    assert torch.isfinite(terms["loss"])


def after_training(kind, **arguments):
    """The MMD between the codes of real test images and the prior, and the images' terms."""
    torch.manual_seed(0)
    data = MiniFashionMNIST(batch_size=100)
    arguments |= {"likelihood": Bernoulli(), "optimizer": partial(Adam, lr=3e-3)}
    model = kind(data.image_shape, 4, architecture=Dense((64,)), **arguments)
    trainer_of(max_epochs=4, log_every_n_steps=50).fit(model, data)
    images = data.load("test").images / 255
    with torch.no_grad():
        terms = terms_of(model, images)
        codes = model.posterior(images).sample() if kind is InfoVAE else model.encode(images)
        squared = (model.reconstruct(images) - images).square().flatten(1).sum(dim=1).mean()
    assert squared < 40  # the best constant image is at 68
    mmd = maximum_mean_discrepancy(codes, torch.randn_like(codes), InverseMultiquadratics())
    return mmd.item(), terms


SMALL_DISCRIMINATOR = {
    "discriminator": LatentDiscriminator((64, 64)),
    "discriminator_optimizer": partial(Adam, lr=5e-4, betas=(0.5, 0.999)),
}


@pytest.mark.slow
def test_training_brings_the_codes_to_the_prior():
    free, _ = after_training(AE)
    assert after_training(WAE, weight=1000.0)[0] < free / 5
    assert after_training(WAEGAN, weight=30.0, **SMALL_DISCRIMINATOR)[0] < free / 5


@pytest.mark.slow
def test_lambda_holds_the_codes_to_the_prior_without_a_kl():
    free, free_terms = after_training(InfoVAE, alpha=1.0, lambda_=0.0)
    held, terms = after_training(InfoVAE, alpha=1.0, lambda_=130.0)
    assert held < free / 5
    assert terms["kl"] < free_terms["kl"]
    assert terms["reconstruction"] < 300  # the best constant image is at 385


@pytest.mark.parametrize(("kind", "weight"), [(BetaTCVAE, "beta"), (FactorVAE, "gamma")])
def test_the_loss_is_the_negative_elbo_and_the_weighted_total_correlation(kind, weight):
    terms = terms_of(tiny(kind, **{weight: 8.0}), MANY)
    factor = 7.0 if kind is BetaTCVAE else 8.0
    expected = terms["reconstruction"] + terms["kl"] + factor * terms["total_correlation"]
    assert terms["loss"].item() == pytest.approx(expected.item(), rel=1e-5)


def test_each_player_moves_its_own_parameters():
    model = tiny(FactorVAE)
    seen = model.shared(batch_of(MANY), MANY)
    model.discriminator_terms(seen, 0).loss.backward()
    assert all(p.grad is None for p in model.encoder.parameters())
    assert all(p.grad is not None for p in model.discriminator.parameters())
    model.generator_terms(seen, 0).loss.backward()
    assert all(p.grad is not None for p in model.encoder.parameters())


@pytest.mark.slow
def test_the_discriminator_learns_the_total_correlation_of_a_gaussian():
    # Of two normal dimensions with correlation r it is -log(1 - r^2) / 2.
    correlation, judge = 0.9, LatentDiscriminator((64, 64), torch.nn.LeakyReLU)
    model = tiny(FactorVAE, latent_dim=2, discriminator=judge)
    optimizer = torch.optim.Adam(model.discriminator.parameters(), 3e-3)
    lower = torch.linalg.cholesky(torch.tensor([[1.0, correlation], [correlation, 1.0]]))
    for _ in range(400):
        codes = torch.randn(512, 2) @ lower.T
        optimizer.zero_grad()
        model.discriminator_terms(CodesAndPermuted(None, None, codes), 0).loss.backward()
        optimizer.step()
    codes = torch.randn(20_000, 2) @ lower.T
    estimate = model.discriminator(codes).mean().item()
    assert estimate == pytest.approx(-0.5 * math.log(1 - correlation**2), abs=0.12)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        *(
            (partial(kind, SHAPE, weight=weight), f"weight is .* got {weight}")
            for kind in (WAE, WAEGAN)
            for weight in (-1.0, float("nan"), float("inf"))
        ),
        (partial(small_gan, clip_norm=0.0), "clip_norm is above 0, got 0.0"),
        (partial(tiny, BetaTCVAE, beta=0.5), "BetaTCVAE.*total correlation"),
        (partial(tiny, FactorVAE, gamma=-1.0), "FactorVAE.*total correlation"),
        (partial(tiny, FactorVAE, gamma=math.nan), "FactorVAE.*total correlation"),
        (partial(LatentDiscriminator, ()), r"LatentDiscriminator\.widths"),
        *(
            (partial(small_info_vae, alpha=alpha), f"finite and at least 0, got alpha {alpha}")
            for alpha in (1.5, float("nan"), -float("inf"))
        ),
        *(
            (partial(small_info_vae, alpha=a, lambda_=b), f"got alpha {a} and lambda_ {b}")
            for a, b in ((0.0, 0.5), (-2.0, 2.0), (0.5, float("inf")))
        ),
    ],
)
def test_bad_arguments(build, message):
    assert_refused(message, build)
