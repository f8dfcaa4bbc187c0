"""Wasserstein autoencoders: their losses by hand, and that codes end up as the prior's draws."""

from functools import partial

import pytest
import torch
import torch.nn.functional as F
from lightning.pytorch import Trainer
from torch.optim import SGD, Adam
from torch.optim.lr_scheduler import ExponentialLR, ReduceLROnPlateau
from torch.utils.data import DataLoader

from lightning_gen.data import MiniFashionMNIST
from lightning_gen.errors import UserError
from lightning_gen.models import AE, WAE, WAEGAN
from lightning_gen.networks import Dense, GaussianNoise, LatentDiscriminator
from lightning_gen.objectives import Bernoulli, Gaussian, InverseMultiquadratics
from lightning_gen.objectives.mmd import maximum_mean_discrepancy
from support.models import batch_of, terms_of

SHAPE = (1, 6, 5)
small_gan = partial(
    WAEGAN, SHAPE, 3, Dense((8,)), discriminator=LatentDiscriminator((8,)), weight=2.0
)
small_wae = partial(WAE, SHAPE, 3, Dense((8,)))


def trainer_of(epochs=1, **arguments):
    defaults = {"logger": False, "enable_checkpointing": False, "log_every_n_steps": 1}
    quiet = {"enable_progress_bar": False, "enable_model_summary": False}
    return Trainer(accelerator="cpu", max_epochs=epochs, **quiet, **(defaults | arguments))


def loader_of(batches=4, size=8):
    images = torch.rand(batches, size, *SHAPE)
    return DataLoader([batch_of(part) for part in images], batch_size=None)


def known_prior(n):
    """In place of draws, where a test computes the same batch twice."""
    return torch.linspace(-2, 2, 3 * n).view(n, 3)


def copies(module):
    return [p.detach().clone() for p in module.parameters()]


def moved(module, before):
    pairs = zip(module.parameters(), before, strict=True)
    return [not torch.equal(new, old) for new, old in pairs]


class TestTerms:
    images = torch.rand(10, *SHAPE)

    @pytest.mark.parametrize("sigma", [1.0, 0.5])
    def test_gaussian_cost_is_the_papers_squared_error(self, sigma):
        """loss = (||x - x'||^2 + 2 sigma^2 weight MMD) / (2 sigma^2) and a constant."""
        model = small_wae(weight=7.0, likelihood=Gaussian(sigma))
        torch.manual_seed(4)
        terms = terms_of(model, self.images)
        torch.manual_seed(4)
        codes = model.encode(self.images)
        mmd = maximum_mean_discrepancy(codes, torch.randn(10, 3), InverseMultiquadratics())
        squared = (model.reconstruct(self.images) - self.images).square().sum() / 10
        constant = 30 * torch.log(torch.tensor(sigma * (2 * torch.pi) ** 0.5))
        assert terms.mmd.item() == pytest.approx(mmd.item())
        assert terms.reconstruction.item() == pytest.approx(
            (squared / (2 * sigma**2) + constant).item(), rel=1e-5
        )
        assert terms.loss.item() == pytest.approx((terms.reconstruction + 7 * mmd).item())

    def test_without_weight_it_is_an_autoencoder(self):
        model = small_wae(weight=0.0)
        autoencoder = AE(SHAPE, 3, Dense((8,)), likelihood=Gaussian())
        autoencoder.load_state_dict(model.state_dict())
        expected = terms_of(autoencoder, self.images).loss
        assert torch.equal(terms_of(model, self.images).loss, expected)

    def test_adversarial_terms_by_hand(self):
        model = small_gan()
        torch.manual_seed(4)
        terms = terms_of(model, self.images)
        torch.manual_seed(4)
        prior = torch.randn(10, 3)
        codes = model.encode(self.images)
        on_prior, on_codes = (
            torch.sigmoid(model.discriminator(z)).double() for z in (prior, codes)
        )
        mmd = maximum_mean_discrepancy(codes, prior, InverseMultiquadratics())
        by_hand = {
            "adversarial": -on_codes.log().mean(),
            "discriminator_loss": -on_prior.log().mean() - (1 - on_codes).log().mean(),
            "prior_score": torch.logit(on_prior).mean(),
            "code_score": torch.logit(on_codes).mean(),
            "mmd": mmd,
            "loss": terms.reconstruction + 2 * mmd,
        }
        found = {name: getattr(terms, name).item() for name in by_hand}
        assert found == pytest.approx({k: v.item() for k, v in by_hand.items()}, abs=1e-5)

    @pytest.mark.parametrize("build", [small_wae, small_gan])
    def test_the_corruption_is_for_the_encoder_alone(self, build):
        model = build()
        damaged = self.images.flip(0)
        terms = model.terms(batch_of(self.images), damaged)
        params = model.decoder(model.encode(damaged))
        expected = -model.likelihood.log_prob(params, self.images).mean()
        assert terms.reconstruction.item() == pytest.approx(expected.item())

    @pytest.mark.parametrize("build", [small_wae, small_gan])
    def test_one_image_is_enough_to_evaluate(self, build):
        terms = terms_of(build(), self.images[:1])
        assert terms.mmd == 0
        assert torch.equal(terms.loss, terms.reconstruction)

    @pytest.mark.parametrize("build", [small_wae, small_gan])
    def test_samples_are_decoded_draws_of_the_prior(self, build):
        model = build()
        torch.manual_seed(2)
        samples = model.sample(5)
        torch.manual_seed(2)
        assert torch.equal(samples, model.decode(torch.randn(5, 3)))


class TestUpdates:
    def test_the_discriminator_learns_first_and_from_the_same_codes(self):
        """One batch of plain SGD, both updates written out."""
        model = small_gan(optimizer=partial(SGD, lr=0.1))
        reference = small_gan()
        reference.load_state_dict(model.state_dict())
        model.sample_codes = known_prior
        loader = loader_of(batches=1)
        images = next(iter(loader)).images
        trainer_of().fit(model, loader)

        codes, prior = reference.encode(images), known_prior(8)
        judge = reference.discriminator
        judged = F.softplus(-judge(prior)).mean() + F.softplus(judge(codes.detach())).mean()
        grads = torch.autograd.grad(judged, [*judge.parameters()])
        with torch.no_grad():
            for p, grad in zip(judge.parameters(), grads, strict=True):
                p -= 0.1 * grad
        log_prob = reference.likelihood.log_prob(reference.decoder(codes), images)
        loss = -log_prob.mean() + 2 * F.softplus(-judge(codes)).mean()
        others = [*reference.encoder.parameters(), *reference.decoder.parameters()]
        grads = torch.autograd.grad(loss, others)
        with torch.no_grad():
            for p, grad in zip(others, grads, strict=True):
                p -= 0.1 * grad
        torch.testing.assert_close(dict(model.state_dict()), dict(reference.state_dict()))

    @pytest.mark.parametrize("frozen", ["optimizer", "discriminator_optimizer"])
    def test_each_optimizer_moves_its_own_parameters(self, frozen):
        rates = {"optimizer": 0.01, "discriminator_optimizer": 0.01} | {frozen: 0.0}
        optimizers = {name: partial(Adam, lr=rate) for name, rate in rates.items()}
        model = small_gan(likelihood=Gaussian(learned=True), **optimizers)
        parts = (model.encoder, model.decoder, model.likelihood, model.discriminator)
        before = [copies(part) for part in parts]
        trainer_of().fit(model, loader_of())
        changed = [all(moved(*pair)) for pair in zip(parts, before, strict=True)]
        stood = [not any(moved(*pair)) for pair in zip(parts, before, strict=True)]
        learning = frozen == "discriminator_optimizer"
        assert changed == [learning] * 3 + [not learning]
        assert stood == [not learning] * 3 + [learning]

    def test_global_step_counts_batches(self):
        trainer = trainer_of(epochs=3)
        trainer.fit(small_gan(), loader_of(batches=4))
        assert trainer.global_step == 12
        trainer = trainer_of(epochs=None, max_steps=6)
        trainer.fit(small_gan(), loader_of(batches=4))
        assert trainer.global_step == 6

    def test_training_logs_both_players(self):
        trainer = trainer_of()
        model = small_gan()
        trainer.fit(model, loader_of(), loader_of())
        logged = {k: v.item() for k, v in trainer.callback_metrics.items()}
        assert logged["train/loss"] == pytest.approx(
            logged["train/reconstruction"] + 2 * logged["train/adversarial"]
        )
        assert {"train/discriminator_loss", "train/prior_score", "train/code_score"} <= {*logged}
        assert logged["val/loss"] == pytest.approx(
            logged["val/reconstruction"] + 2 * logged["val/mmd"]
        )

    def test_schedulers_are_stepped_once_an_epoch(self):
        model = small_gan(
            optimizer=partial(SGD, lr=1e-3),
            discriminator_optimizer=partial(SGD, lr=1e-2),
            lr_scheduler=partial(ExponentialLR, gamma=0.1),
        )
        trainer = trainer_of(epochs=2)
        trainer.fit(model, loader_of())
        rates = [optimizer.param_groups[0]["lr"] for optimizer in trainer.optimizers]
        assert rates == pytest.approx([1e-5, 1e-4])

    def test_a_plateau_scheduler_watches_the_validation_loss(self):
        scheduler = partial(ReduceLROnPlateau, patience=0, factor=0.5, threshold=1e9)
        model = small_gan(optimizer=partial(SGD, lr=1e-3), lr_scheduler=scheduler)
        trainer = trainer_of(epochs=3)
        trainer.fit(model, loader_of(), loader_of())
        rates = [optimizer.param_groups[0]["lr"] for optimizer in trainer.optimizers]
        assert max(rates) < 1e-3

    def test_clipped_gradients(self):
        model = small_gan(optimizer=partial(SGD, lr=1.0), clip_norm=1e-3)
        before = copies(model)
        trainer_of().fit(model, loader_of(batches=1))
        steps = [new.detach() - old for new, old in zip(model.parameters(), before, strict=True)]
        length = torch.cat([step.flatten() for step in steps]).norm().item()
        assert length == pytest.approx(2**0.5 * 1e-3, rel=1e-3)  # two updates at right angles

    def test_the_encoder_sees_corrupted_images_in_training(self):
        seen = []
        model = small_gan(corruption=GaussianNoise(0.5))
        model.encoder.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        loader = loader_of(batches=1)
        trainer_of(num_sanity_val_steps=0).fit(model, loader, loader)
        clean = next(iter(loader)).images
        assert [torch.equal(images, clean) for images in seen] == [False, True]

    @pytest.mark.parametrize("option", [{"accumulate_grad_batches": 2}, {"gradient_clip_val": 1.0}])
    def test_options_of_automatic_optimisation_are_refused(self, option):
        with pytest.raises(UserError, match="a model with several optimizers"):
            trainer_of(**option).fit(small_gan(), loader_of())

    @pytest.mark.parametrize("stage", ["fit", "validate"])
    def test_images_out_of_range_are_refused(self, stage):
        batches = DataLoader([batch_of(2 * torch.ones(4, *SHAPE))], batch_size=None)
        with pytest.raises(UserError, match=r"models take images in \[0, 1\]"):
            getattr(trainer_of(), stage)(small_gan(), batches)

    def test_a_checkpoint_goes_on_where_the_run_stopped(self, tmp_path):
        """Both optimizers are in it: three epochs at once are two and then one."""

        def fit(epochs, path=None):
            torch.manual_seed(0)
            model, loader = small_gan(lr_scheduler=partial(ExponentialLR, gamma=0.5)), loader_of()
            model.sample_codes = known_prior
            trainer = trainer_of(epochs)
            trainer.fit(model, loader, ckpt_path=path)
            path = tmp_path / f"{trainer.global_step}.ckpt"
            trainer.save_checkpoint(path)
            return model, trainer, path

        whole, trainer, path = fit(3)
        _, _, halfway = fit(2)
        resumed, resumed_trainer, _ = fit(3, halfway)
        assert resumed_trainer.global_step == trainer.global_step == 12
        torch.testing.assert_close(dict(resumed.state_dict()), dict(whole.state_dict()))
        loaded = WAEGAN.load_from_checkpoint(path)
        images = torch.rand(3, *SHAPE)
        assert torch.equal(loaded.encode(images), whole.encode(images))


@pytest.fixture(scope="module")
def autoencoder_mmd():
    return mmd_after_training(AE)


def mmd_after_training(kind, **arguments):
    """The MMD between the codes of real test images and the prior, and their reconstruction."""
    torch.manual_seed(0)
    data = MiniFashionMNIST(batch_size=100)
    arguments |= {"likelihood": Bernoulli(), "optimizer": partial(Adam, lr=3e-3)}
    model = kind(data.image_shape, 4, Dense((64,)), **arguments)
    trainer_of(epochs=4).fit(model, data)
    images = data.load_test().images / 255
    with torch.no_grad():
        codes = model.encode(images)
        squared = (model.reconstruct(images) - images).square().flatten(1).sum(dim=1).mean()
    assert squared < 40  # the best constant image is at 68
    return maximum_mean_discrepancy(codes, torch.randn_like(codes), InverseMultiquadratics()).item()


SMALL_DISCRIMINATOR = {
    "discriminator": LatentDiscriminator((64, 64)),
    "discriminator_optimizer": partial(Adam, lr=5e-4, betas=(0.5, 0.999)),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        (WAE, {"weight": 1000.0}),
        (WAEGAN, {"weight": 30.0} | SMALL_DISCRIMINATOR),
    ],
)
def test_training_brings_the_codes_to_the_prior(kind, arguments, autoencoder_mmd):
    assert mmd_after_training(kind, **arguments) < autoencoder_mmd / 5


@pytest.mark.parametrize("kind", [WAE, WAEGAN])
@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf")])
def test_bad_weight(kind, weight):
    with pytest.raises(UserError, match=f"weight is a finite number .* got {weight}"):
        kind(SHAPE, weight=weight)


@pytest.mark.parametrize("clip_norm", [0.0, -1.0, float("nan")])
def test_bad_clip_norm(clip_norm):
    with pytest.raises(UserError, match=f"clip_norm is .* above 0, got {clip_norm}"):
        small_gan(clip_norm=clip_norm)


def test_bad_widths_of_the_discriminator():
    with pytest.raises(UserError, match=r"LatentDiscriminator\.widths"):
        LatentDiscriminator(())
