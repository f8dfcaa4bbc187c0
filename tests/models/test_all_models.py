"""What every model promises: capabilities, losses in nats per image, the same in every stage."""

import inspect
from copy import deepcopy
from functools import partial
from threading import Lock

import pytest
import torch
from lightning.pytorch import Trainer
from torch.utils.data import DataLoader

from lightning_gen import models
from lightning_gen.contracts import Decodes, Encodes, Infers, Reconstructs, Samples, given
from lightning_gen.errors import UserError
from lightning_gen.models.base import check_range
from lightning_gen.models.encoder_decoder import Autoencoder
from lightning_gen.networks import Dense
from lightning_gen.objectives import Bernoulli, DiscretizedLogistic, Gaussian
from support.models import batch_of, build, terms_of

ALL = [getattr(models, name) for name in models.__all__]
AUTOENCODERS = [kind for kind in ALL if issubclass(kind, Autoencoder)]
ONE_OPTIMIZER = [kind for kind in AUTOENCODERS if build(kind).automatic_optimization]
IMAGE_SHAPES = [(1, 28, 28), (3, 21, 34)]


def loader_of(images, batch_size):
    """Batches as they reach a model: float32 in [0, 1]."""
    return DataLoader([batch_of(part) for part in images.split(batch_size)], batch_size=None)


@pytest.fixture
def trainer():
    return Trainer(
        accelerator="cpu",
        max_epochs=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=1,
    )


def test_models_are_found():
    assert {"AE", "CAE", "VAE", "CVAE", "DCGAN", "VQVAE", "WAEGAN"} <= {
        kind.__name__ for kind in ALL
    }
    assert AUTOENCODERS


@pytest.mark.parametrize("image_shape", IMAGE_SHAPES)
@pytest.mark.parametrize("kind", ALL)
@torch.no_grad()
def test_capabilities(kind, image_shape):
    model = build(kind, image_shape)
    images = torch.rand(5, *image_shape)
    made = [model.sample(5)] if isinstance(model, Samples) else []
    model = given(model, batch_of(images))
    if isinstance(model, Encodes):
        codes = model.encode(images)
        assert codes.ndim == 2
        assert len(codes) == 5
        if isinstance(model, Decodes):
            made.append(model.decode(codes))
    if isinstance(model, Reconstructs):
        made.append(model.reconstruct(images))
    if isinstance(model, Infers):
        posterior = model.posterior(images)
        assert posterior.mean.shape == posterior.log_var.shape
        assert torch.equal(posterior.mean, codes[:, : posterior.mean.shape[1]])
    assert made or kind is models.Classifier
    for image in made:
        assert image.shape == images.shape
        assert image.dtype == torch.float32
        assert image.min() >= 0
        assert image.max() <= 1


@pytest.mark.parametrize("kind", AUTOENCODERS)
@torch.no_grad()
def test_reconstruct_is_decode_of_encode(kind):
    images = torch.rand(3, 1, 28, 28)
    model = given(build(kind), batch_of(images))
    assert isinstance(model, Encodes)
    assert isinstance(model, Decodes)
    assert isinstance(model, Reconstructs)
    assert torch.equal(model.reconstruct(images), model.decode(model.encode(images)))


def test_only_models_with_a_prior_sample():
    samplers = {kind.__name__ for kind in AUTOENCODERS if isinstance(build(kind), Samples)}
    assert {"VAE", "CVAE", "WAE", "WAEGAN", "InfoVAE", "VQVAE"} <= samplers
    assert not {"AE", "CAE", "StackedDAE"} & samplers


@torch.no_grad()
def test_samples_follow_the_random_state():
    model = build(models.VAE)
    torch.manual_seed(3)
    first = model.sample(4)
    torch.manual_seed(3)
    assert torch.equal(model.sample(4), first)
    assert not torch.equal(model.sample(4), first)


@pytest.mark.parametrize("kind", [kind for kind in ALL if isinstance(build(kind), Samples)])
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


@pytest.mark.parametrize("likelihood", [Bernoulli(), Gaussian(), DiscretizedLogistic()])
@pytest.mark.parametrize("kind", ONE_OPTIMIZER)
def test_gradients_reach_every_parameter(kind, likelihood):
    model = build(kind, (3, 21, 34), likelihood=likelihood)
    terms_of(model, torch.rand(4, 3, 21, 34)).loss.backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())


@pytest.mark.parametrize("kind", ALL)
def test_a_step_of_training_changes_the_parameters(kind, trainer):
    model = build(kind)
    before = [p.detach().clone() for p in model.parameters()]
    trainer.fit(model, loader_of(torch.rand(8, 1, 28, 28), 8))
    after = [*model.parameters()]
    assert all(torch.isfinite(p).all() for p in after)
    assert any(not torch.equal(a, b) for a, b in zip(after, before, strict=True))


@pytest.mark.parametrize("kind", ONE_OPTIMIZER)
def test_steps_on_one_batch_lower_the_loss(kind):
    model = build(kind)
    images = torch.rand(8, 1, 28, 28).round()
    optimizer = model.configure_optimizers()
    start = terms_of(model, images).loss.item()
    for _ in range(10):
        optimizer.zero_grad()
        terms_of(model, images).loss.backward()
        optimizer.step()
    assert terms_of(model, images).loss < start


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

    @pytest.mark.parametrize("stage", ["val", "test"])
    def test_autoencoder(self, stage, loader, trainer):
        model = models.AE((1, 6, 5), 3, Dense((8,)))
        with torch.no_grad():
            p = model.reconstruct(self.images).double()
        x = self.images.double()
        by_hand = -(x * p.log() + (1 - x) * (1 - p).log()).sum() / 12
        evaluate = trainer.validate if stage == "val" else trainer.test
        [logged] = evaluate(model, loader, verbose=False)
        assert logged[f"{stage}/loss"] == pytest.approx(by_hand.item(), rel=1e-5)

    @pytest.mark.parametrize("stage", ["val", "test"])
    def test_variational_autoencoder(self, stage, loader, trainer):
        model = self.noiseless_vae()
        with torch.no_grad():
            p = model.decode(torch.tensor([[1.0, -2.0, 0.5]])).double()
        x = self.images.double()
        reconstruction = -(x * p.log() + (1 - x) * (1 - p).log()).sum().item() / 12
        kl = 0.5 * (1 + 4 + 0.25 + 3 * (60 - 1))
        evaluate = trainer.validate if stage == "val" else trainer.test
        [logged] = evaluate(model, loader, verbose=False)
        assert logged == pytest.approx(
            {
                f"{stage}/loss": reconstruction + kl,
                f"{stage}/reconstruction": reconstruction,
                f"{stage}/kl": kl,
            },
            rel=1e-5,
        )

    def test_training_logs_the_same(self, trainer):
        model = self.noiseless_vae()
        expected = {
            f"train/{k}": v.item() for k, v in terms_of(model, self.images)._asdict().items()
        }
        trainer.fit(model, loader_of(self.images, 12))
        logged = {k: v.item() for k, v in trainer.logged_metrics.items()}
        assert logged == pytest.approx(expected)

    def test_the_number_of_images_does_not_change_the_gradient(self):
        model = models.AE((1, 6, 5), 3, Dense((8,)))
        grads = []
        for images in (self.images, self.images.repeat(3, 1, 1, 1)):
            model.zero_grad()
            terms_of(model, images).loss.backward()
            grads.append([p.grad for p in model.parameters()])
        torch.testing.assert_close(*grads)

    def test_bits_per_dimension(self):
        model = self.noiseless_vae(likelihood=DiscretizedLogistic())
        terms = terms_of(model, self.images)
        # 8-bit images of 30 pixels; a bit is log 2 nats.
        bits = (terms.reconstruction + terms.kl).item() / 0.6931471805599453 / 30
        assert terms.bits_per_dimension.item() == pytest.approx(bits)

    def test_bits_per_dimension_leaves_beta_out(self):
        arguments = {"architecture": Dense((8,)), "likelihood": DiscretizedLogistic()}
        one, four = (models.BetaVAE((1, 6, 5), 3, beta, **arguments) for beta in (1.0, 4.0))
        four.load_state_dict(one.state_dict())
        torch.manual_seed(1)
        expected = terms_of(one, self.images)
        torch.manual_seed(1)
        found = terms_of(four, self.images)
        assert found.bits_per_dimension == expected.bits_per_dimension
        assert found.loss.item() == pytest.approx((found.reconstruction + 4 * found.kl).item())

    def test_bits_only_where_the_likelihood_is_discrete(self):
        for likelihood in (Bernoulli(), Gaussian()):
            terms = terms_of(self.noiseless_vae(likelihood=likelihood), self.images)
            assert terms._fields == ("loss", "reconstruction", "kl")


def test_warmup_acts_in_training_and_not_in_validation(trainer):
    model = models.VAE((1, 6, 5), 3, Dense((8,)), objective=models.vae.ELBO(warmup_steps=10))
    images = torch.rand(8, 1, 6, 5)
    trainer.fit(model, loader_of(images, 4), loader_of(images, 4))
    logged = {k: v.item() for k, v in trainer.logged_metrics.items()}
    # The second batch is trained after one step.
    expected = logged["train/reconstruction"] + 0.1 * logged["train/kl"]
    assert logged["train/loss"] == pytest.approx(expected)
    assert logged["val/loss"] == pytest.approx(logged["val/reconstruction"] + logged["val/kl"])


@pytest.mark.parametrize("every", [0, 1, 3])
def test_training_terms_are_logged_every_n_steps(every):
    steps = []

    class Recorder(models.AE):
        def _log_terms(self, stage, terms, batch_size):
            steps.append(self.global_step)

    Trainer(
        accelerator="cpu",
        max_epochs=2,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=every,
    ).fit(Recorder((1, 6, 5), 3, Dense((8,))), loader_of(torch.rand(8, 1, 6, 5), 2))
    assert steps == {0: [], 1: [*range(8)], 3: [2, 5]}[every]


@pytest.mark.parametrize("value", [-0.5, 1.5, 255.0, float("nan")])
@pytest.mark.parametrize("stage", ["fit", "validate", "test"])
def test_images_out_of_range_are_refused(value, stage, trainer):
    images = torch.rand(4, 1, 6, 5)
    images[2, 0, 3, 3] = value
    model = models.VAE((1, 6, 5), 3, Dense((8,)))
    with pytest.raises(UserError, match=r"models take images in \[0, 1\]"):
        getattr(trainer, stage)(model, loader_of(images, 4))


def test_the_borders_of_the_range_pass():
    check_range(torch.tensor([0.0, 1.0]).view(1, 1, 1, 2))


@pytest.mark.parametrize("latent_dim", [0, -3])
@pytest.mark.parametrize(
    "kind", [kind for kind in ALL if "latent_dim" in inspect.signature(kind).parameters]
)
def test_bad_latent_dim(kind, latent_dim):
    with pytest.raises(UserError, match=f"latent_dim .* at least 1, got {latent_dim}"):
        build(kind, latent_dim=latent_dim)


def test_bad_beta():
    with pytest.raises(UserError, match=r"beta .* got -1"):
        models.BetaVAE((1, 28, 28), beta=-1.0)


@pytest.mark.parametrize("kind", AUTOENCODERS)
def test_models_share_no_likelihood(kind):
    one, other = build(kind), build(kind)
    assert one.likelihood is not other.likelihood
    likelihood = Gaussian(learned=True)
    one, other = (build(kind, likelihood=likelihood) for _ in range(2))
    with torch.no_grad():
        one.likelihood.log_sigma.fill_(3)
    assert other.likelihood.log_sigma == likelihood.log_sigma == 0


def test_a_learned_sigma_is_trained(trainer):
    model = models.AE((1, 6, 5), 3, Dense((8,)), likelihood=Gaussian(learned=True))
    trainer.fit(model, loader_of(torch.rand(8, 1, 6, 5), 4))
    assert model.likelihood.log_sigma < 0


def test_a_plateau_scheduler_watches_the_validation_loss(trainer):
    def build_scheduler(optimizer):
        return torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer)

    model = build(models.AE)
    model._lr_scheduler = build_scheduler
    configured = model.configure_optimizers()
    assert configured["lr_scheduler"]["monitor"] == "val/loss"
    assert configured["lr_scheduler"]["scheduler"].optimizer is configured["optimizer"]


def test_predict_gives_the_codes(trainer):
    model = build(models.VAE)
    images = torch.rand(6, 1, 28, 28)
    codes = torch.cat(trainer.predict(model, loader_of(images, 4)))
    torch.testing.assert_close(codes, model.encode(images).detach())


@pytest.mark.parametrize("kind", ALL)
def test_copies_share_what_builds_the_optimizer(kind):
    """As an average of the weights is a copy; a factory may hold what cannot be copied."""
    lock = Lock()

    def build_optimizer(parameters):
        assert not lock.locked()
        return torch.optim.SGD(parameters, lr=0.1)

    held = partial(lambda lock, parameters: build_optimizer(parameters), lock)
    model = build(kind)
    for name in ("_optimizer", "_discriminator_optimizer"):
        if hasattr(model, name):
            setattr(model, name, type(getattr(model, name))(held))
    if hasattr(model, "_optimizers"):
        model._optimizers = tuple(type(one)(held) for one in model._optimizers)
    assert deepcopy(model).configure_optimizers()
