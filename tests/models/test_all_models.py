import inspect
from copy import deepcopy
from functools import partial
from threading import Lock

import pytest
import torch
from torch.optim import Adam

from lightning_gen import contracts, models
from lightning_gen.data import MiniFashionMNIST
from lightning_gen.models.encoder_decoder import Autoencoder
from lightning_gen.models.module import check_range
from lightning_gen.networks import Dense, GaussianNoise
from lightning_gen.objectives import Bernoulli, DiscretizedLogistic, Gaussian
from support.models import KINDS as ALL
from support.models import batch_of, build, constant_image_floor, loader_of, terms_of, trainer_of
from support.refusals import assert_refused

AUTOENCODERS = [kind for kind in ALL if issubclass(kind, Autoencoder)]
ONE_OPTIMIZER = [kind for kind in AUTOENCODERS if build(kind).automatic_optimization]
IMAGE_SHAPES = [(1, 28, 28), (3, 21, 34)]


@pytest.mark.parametrize("image_shape", IMAGE_SHAPES)
@pytest.mark.parametrize("kind", ALL)
@torch.no_grad()
def test_capabilities(kind, image_shape):
    model = build(kind, image_shape)
    images = torch.rand(5, *image_shape)
    made = [model.sample(5)] if isinstance(model, contracts.SamplesImages) else []
    model = contracts.condition_on(model, batch_of(images))
    if isinstance(model, contracts.Encodes):
        codes = model.encode(images)
        assert (codes.ndim, len(codes)) == (2, 5)
        if isinstance(model, contracts.Decodes):
            made.append(model.decode(codes))
    if isinstance(model, contracts.Reconstructs):
        made.append(model.reconstruct(images))
        assert torch.equal(made[-1], model.decode(model.encode(images)))
    if isinstance(model, contracts.Infers):
        posterior = model.posterior(images)
        assert posterior.mean.shape == posterior.log_var.shape
        assert torch.equal(posterior.mean, codes[:, : posterior.mean.shape[1]])
    assert made or kind is models.Classifier
    assert isinstance(model, contracts.Reconstructs) == (kind in AUTOENCODERS)
    for image in made:
        assert (image.shape, image.dtype) == (images.shape, torch.float32)
        assert 0 <= image.min() <= image.max() <= 1


def test_only_models_with_a_prior_sample():
    samplers = {
        kind.__name__ for kind in AUTOENCODERS if isinstance(build(kind), contracts.SamplesImages)
    }
    assert {"VAE", "CVAE", "WAE", "WAEGAN", "InfoVAE", "VQVAE"} <= samplers
    assert not {"AE", "CAE", "StackedDAE"} & samplers


@pytest.mark.parametrize("kind", [models.VAE, models.WAE, models.WAEGAN])
def test_samples_are_decoded_draws_of_the_prior(kind):
    model = build(kind, latent_dim=3)
    torch.manual_seed(2)
    samples = model.sample(5)
    torch.manual_seed(2)
    assert torch.equal(samples, model.decode(torch.randn(5, 3)))


@pytest.mark.parametrize(
    "kind", [kind for kind in ALL if isinstance(build(kind), contracts.SamplesImages)]
)
@torch.no_grad()
def test_a_model_of_half_precision_samples(kind):
    images = build(kind, (1, 16, 16)).half().eval().sample(2)
    assert images.dtype == torch.float32
    assert torch.isfinite(images).all()


@torch.no_grad()
def test_a_call_of_a_model_is_its_reconstruction_or_its_generator():
    images = torch.rand(2, 1, 16, 16)
    model = build(models.AE, (1, 16, 16)).eval()
    assert torch.equal(model(images), model.reconstruct(images))
    generator = build(models.DCGAN, (1, 16, 16)).eval()
    codes = generator.sample_codes(2)
    assert torch.equal(generator(codes), generator.decode(codes))


@pytest.mark.parametrize("likelihood", [Bernoulli(), Gaussian(learned=True), DiscretizedLogistic()])
@pytest.mark.parametrize("kind", ONE_OPTIMIZER)
def test_gradients_reach_every_parameter(kind, likelihood):
    model = build(kind, (3, 21, 34), likelihood=likelihood)
    terms_of(model, torch.rand(4, 3, 21, 34))["loss"].backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())


@pytest.mark.parametrize("kind", AUTOENCODERS)
@torch.no_grad()
def test_the_corruption_is_for_the_encoder_alone(kind):
    model, images, damaged = build(kind), torch.rand(4, 1, 28, 28), torch.rand(4, 1, 28, 28)
    seen, log_prob = {}, model.likelihood.log_prob

    def record(params, images):
        seen["target"] = images
        return log_prob(params, images)

    model.encoder.register_forward_pre_hook(
        lambda _, inputs: None if "encoded" in seen else seen.update(encoded=inputs[0])
    )
    model.likelihood.log_prob = record
    model.terms(batch_of(images), damaged)
    assert torch.equal(seen["encoded"], damaged)
    assert torch.equal(seen["target"].view(-1, *images.shape)[0], images)


@pytest.mark.parametrize("kind", [models.AE, models.WAEGAN])
def test_images_are_corrupted_in_training_alone(kind):
    seen = []
    model = build(kind, corruption=GaussianNoise(0.5))
    model.encoder.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    images = torch.rand(4, 1, 28, 28)
    trainer_of(num_sanity_val_steps=0).fit(model, loader_of(images), loader_of(images))
    assert [torch.equal(given, images) for given in seen] == [False, True]


@pytest.mark.parametrize("kind", ONE_OPTIMIZER)
def test_steps_on_one_batch_lower_the_loss(kind):
    model = build(kind, (1, 16, 16))
    images = torch.rand(8, 1, 16, 16).round()
    optimizer = model.configure_optimizers()
    start = terms_of(model, images)["loss"].item()
    for _ in range(10):
        optimizer.zero_grad()
        terms_of(model, images)["loss"].backward()
        optimizer.step()
    assert terms_of(model, images)["loss"] < start


class TestLossesAreNatsPerImage:
    """By hand for two models: an AE, which draws no noise, and a VAE, with the noise known."""

    images = torch.randint(0, 256, (12, 1, 6, 5)) / 255

    @staticmethod
    def noiseless_vae(**arguments):
        """A VAE whose posterior has mean and variance far from the prior's, and no noise."""
        model = models.VAE((1, 6, 5), 3, Dense((8,)), **arguments)
        with torch.no_grad():
            model.encoder[-1].weight.zero_()
            model.encoder[-1].bias.copy_(torch.tensor([1.0, -2.0, 0.5, -60.0, -60.0, -60.0]))
        return model

    @pytest.fixture(params=[1, 5, 12])
    def loader(self, request):
        return loader_of(self.images, request.param)

    @pytest.mark.parametrize("kind", [models.AE, models.VAE])
    @pytest.mark.parametrize(("stage", "evaluate"), [("val", "validate"), ("test", "test")])
    def test_evaluation_logs_them(self, kind, stage, evaluate, loader):
        model = self.noiseless_vae() if kind is models.VAE else models.AE((1, 6, 5), 3, Dense((8,)))
        with torch.no_grad():
            p = model.reconstruct(self.images).double()
        x = self.images.double()
        expected = {"loss": -(x * p.log() + (1 - x) * (1 - p).log()).sum().item() / 12}
        if kind is models.VAE:
            kl, reconstruction = 0.5 * (1 + 4 + 0.25 + 3 * (60 - 1)), expected["loss"]
            expected = {"loss": reconstruction + kl, "reconstruction": reconstruction, "kl": kl}
        [logged] = getattr(trainer_of(), evaluate)(model, loader, verbose=False)
        expected = {f"{stage}/{name}": value for name, value in expected.items()}
        assert logged == pytest.approx(expected, rel=1e-5)

    def test_training_logs_the_same(self):
        model = self.noiseless_vae()
        terms = terms_of(model, self.images)
        trainer = trainer_of()
        trainer.fit(model, loader_of(self.images, 12))
        logged = {k: v.item() for k, v in trainer.logged_metrics.items()}
        assert logged == pytest.approx({f"train/{k}": v.item() for k, v in terms.items()})

    def test_the_number_of_images_does_not_change_the_gradient(self):
        model = models.AE((1, 6, 5), 3, Dense((8,)))
        grads = []
        for images in (self.images, self.images.repeat(3, 1, 1, 1)):
            model.zero_grad()
            terms_of(model, images)["loss"].backward()
            grads.append([p.grad for p in model.parameters()])
        torch.testing.assert_close(*grads)

    @pytest.mark.parametrize(
        ("kind", "arguments"),
        [
            (models.VAE, {}),
            (models.BetaVAE, {"beta": 4.0}),
            (models.InfoVAE, {"alpha": 0.5, "lambda_": 9.0}),
            (models.BetaTCVAE, {"beta": 3.0}),
            (models.FactorVAE, {}),
            (models.VQVAE, {}),
        ],
    )
    def test_bits_per_dimension_are_those_of_the_unweighted_bound(self, kind, arguments):
        images = torch.randint(0, 256, (12, 1, 12, 10)) / 255
        model = build(kind, (1, 12, 10), likelihood=DiscretizedLogistic(), **arguments)
        [logged] = trainer_of().validate(model, loader_of(images), verbose=False)
        # 8-bit images of 120 pixels; a bit is log 2 nats.
        bits = (logged["val/reconstruction"] + logged["val/kl"]) / 0.6931471805599453 / 120
        assert logged["val/bits_per_dimension"] == pytest.approx(bits)

    @pytest.mark.parametrize("likelihood", [Bernoulli(), Gaussian()])
    def test_bits_only_where_the_likelihood_is_discrete(self, likelihood):
        model = build(models.VAE, (1, 12, 10), likelihood=likelihood)
        images = torch.rand(12, 1, 12, 10)
        [logged] = trainer_of().validate(model, loader_of(images), verbose=False)
        assert logged.keys() == {"val/loss", "val/reconstruction", "val/kl"}


def test_warmup_acts_in_training_and_not_in_validation():
    model = models.VAE((1, 6, 5), 3, Dense((8,)), objective=models.vae.ELBO(warmup_steps=10))
    images = torch.rand(8, 1, 6, 5)
    trainer = trainer_of()
    trainer.fit(model, loader_of(images, 4), loader_of(images, 4))
    logged = {k: v.item() for k, v in trainer.logged_metrics.items()}
    # The second batch is trained after one step.
    expected = logged["train/reconstruction"] + 0.1 * logged["train/kl"]
    assert logged["train/loss"] == pytest.approx(expected)
    assert logged["val/loss"] == pytest.approx(logged["val/reconstruction"] + logged["val/kl"])


@pytest.mark.parametrize("every", [0, 1, 3])
@pytest.mark.parametrize("kind", [models.AE, models.WAEGAN, models.DCGAN])
def test_training_terms_are_logged_every_n_steps(kind, every, monkeypatch):
    batches = []
    monkeypatch.setattr(
        kind, "_log_terms", lambda self, *_: batches.append(self.trainer.fit_loop.total_batch_idx)
    )
    loader = loader_of(torch.rand(8, 1, 16, 16), 2)
    trainer_of(max_epochs=2, log_every_n_steps=every).fit(build(kind, (1, 16, 16)), loader)
    assert sorted({*batches}) == {0: [], 1: [*range(8)], 3: [2, 5]}[every]


@pytest.mark.parametrize("kind", ALL)
def test_what_is_logged_is_declared_and_the_loss_is_its_terms_by_their_weights(kind):
    model, images = build(kind), torch.rand(16, 1, 28, 28).round()
    trainer = trainer_of()
    trainer.fit(model, loader_of(images), loader_of(images))
    logged = {name: float(value) for name, value in trainer.callback_metrics.items()}
    known = model.quantities
    assert {name.partition("/")[2] for name in logged} <= known.keys()
    if "val/reconstruction" in logged:
        terms = {name: each.weight for name, each in known.items() if each.weight is not None}
        total = sum(w * logged.get(f"val/{name}", 0.0) for name, w in terms.items())
        assert logged["val/loss"] == pytest.approx(total, rel=1e-5)


@pytest.mark.parametrize("stage", ["fit", "validate", "test"])
@pytest.mark.parametrize("kind", [models.VAE, models.WAEGAN, models.DCGAN])
def test_images_out_of_range_are_refused(kind, stage):
    images = torch.rand(4, 1, 16, 16)
    images[2, 0, 3, 3] = 1.5
    do, model = getattr(trainer_of(), stage), build(kind, (1, 16, 16))
    assert_refused(r"models take images in \[0, 1\]", do, model, loader_of(images))


def test_the_borders_of_the_range_pass():
    check_range(torch.tensor([0.0, 1.0]).view(1, 1, 1, 2))
    for value in (-0.5, 255.0, float("nan")):
        images = torch.tensor([0.5, value]).view(1, 1, 1, 2)
        assert_refused(r"models take images in \[0, 1\]", check_range, images)


@pytest.mark.parametrize("kind", AUTOENCODERS)
def test_images_of_another_shape_are_one_line(kind):
    model = build(kind)
    assert model.image_shape == (1, 28, 28)
    images = torch.rand(2, 1, 32, 32)
    match = r"of shape \[N, 1, 28, 28\], got torch.float32 \[2, 1, 32"
    assert_refused(match, contracts.condition_on(model, batch_of(images)).encode, images)


@pytest.mark.parametrize("images", [torch.rand(1, 28, 28), torch.ones(2, 1, 28, 28).byte()])
def test_what_is_no_batch_of_float_images_is_one_line(images):
    assert_refused(r"float images in \[0, 1\]", build(models.VAE).encoder, images)


@pytest.mark.parametrize("latent_dim", [0, -3])
@pytest.mark.parametrize(
    "kind", [kind for kind in ALL if "latent_dim" in inspect.signature(kind).parameters]
)
def test_bad_latent_dim(kind, latent_dim):
    match = f"latent_dim .* at least 1, got {latent_dim}"
    assert_refused(match, build, kind, latent_dim=latent_dim)


def test_beta_weighs_the_kl():
    terms = terms_of(build(models.BetaVAE, beta=4.0), torch.rand(4, 1, 28, 28))
    assert terms["loss"].item() == pytest.approx((terms["reconstruction"] + 4 * terms["kl"]).item())
    assert_refused(r"beta .* got -1", build, models.BetaVAE, beta=-1.0)


@pytest.mark.parametrize(
    ("kind", "arguments", "other"),
    [
        (models.BetaTCVAE, {"beta": 1.0}, models.VAE),
        (models.FactorVAE, {"gamma": 0.0}, models.VAE),
        (models.InfoVAE, {"alpha": 0.0, "lambda_": 1.0}, models.VAE),
        (models.InfoVAE, {"alpha": -3.0, "lambda_": 4.0}, partial(models.BetaVAE, beta=4.0)),
        (models.WAE, {"weight": 0.0}, models.AE),
    ],
)
@pytest.mark.parametrize("likelihood", [Gaussian(), DiscretizedLogistic()])
def test_special_cases_are_the_other_model_to_the_last_bit(kind, arguments, other, likelihood):
    shared = {"latent_dim": 3, "architecture": Dense((8,)), "likelihood": likelihood}
    reference, model = build(other, **shared), build(kind, **shared, **arguments)
    model.load_state_dict(reference.state_dict(), strict=False)
    images, terms = torch.rand(10, 1, 28, 28), []
    for each in (reference, model):
        torch.manual_seed(5)
        terms.append(terms_of(each, images))
    for name in terms[0].keys() & terms[1].keys():
        assert torch.equal(terms[1][name], terms[0][name]), name


@pytest.mark.parametrize("kind", AUTOENCODERS)
def test_models_share_no_likelihood(kind):
    one, other = build(kind), build(kind)
    assert one.likelihood is not other.likelihood
    likelihood = Gaussian(learned=True)
    one, other = (build(kind, likelihood=likelihood) for _ in range(2))
    with torch.no_grad():
        one.likelihood.log_sigma.fill_(3)
    assert other.likelihood.log_sigma == likelihood.log_sigma == 0


def test_a_plateau_scheduler_watches_the_validation_loss():
    model = build(models.AE, lr_scheduler=torch.optim.lr_scheduler.ReduceLROnPlateau)
    configured = model.configure_optimizers()
    assert configured["lr_scheduler"]["monitor"] == "val/loss"
    assert configured["lr_scheduler"]["scheduler"].optimizer is configured["optimizer"]


def test_predict_gives_the_codes():
    model = build(models.VAE)
    images = torch.rand(6, 1, 28, 28)
    codes = torch.cat(trainer_of().predict(model, loader_of(images, 4)))
    torch.testing.assert_close(codes, model.encode(images).detach())


@pytest.mark.parametrize("kind", ALL)
def test_copies_share_what_builds_the_optimizer(kind):
    """As an average of the weights is a copy; a factory may hold what cannot be copied."""
    held = partial(lambda lock, parameters: torch.optim.SGD(parameters, lr=0.1), Lock())
    model = build(kind)
    for name in ("_optimizer", "_discriminator_optimizer"):
        if hasattr(model, name):
            setattr(model, name, type(getattr(model, name))(held))
    assert deepcopy(model).configure_optimizers()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "epochs", "limit"),
    [
        # A dense VAE reaches about 240 nats when it is trained for long (experiment E).
        (partial(models.VAE, latent_dim=10, architecture=Dense((150, 100))), 4, 300),
        (partial(models.AE, latent_dim=10, architecture=Dense((150, 100))), 4, 290),
        (partial(models.CAE, widths=(8, 16)), 1, 270),
    ],
)
def test_training_beats_the_constant_image(kind, epochs, limit):
    data = MiniFashionMNIST(batch_size=100)
    model = kind(data.image_shape, optimizer=partial(Adam, lr=3e-3))
    trainer = trainer_of(max_epochs=epochs)
    trainer.fit(model, data)
    floor = constant_image_floor(data.load("train").images / 255)
    assert limit < floor - 50
    assert trainer.callback_metrics["val/loss"] < limit
    [tested] = trainer.test(model, data, verbose=False)
    assert tested["test/loss"] < limit
