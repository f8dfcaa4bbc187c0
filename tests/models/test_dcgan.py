"""DCGAN: who is updated when, what a step is, what a user is told."""

import math
from functools import partial

import pytest
import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.plugins.precision import MixedPrecision
from torch.optim import SGD, Adam
from torch.optim.lr_scheduler import ExponentialLR, ReduceLROnPlateau
from torch.utils.data import DataLoader

from lightning_gen.callbacks import FiniteLoss
from lightning_gen.data import MiniFashionMNIST
from lightning_gen.errors import UserError
from lightning_gen.metrics import mean_pairwise_distance
from lightning_gen.models import DCGAN, dcgan
from lightning_gen.networks import DCGANNetworks
from lightning_gen.objectives import R1, GradientPenalty, Hinge, NonSaturating, Wasserstein
from support.models import batch_of

SMALL = DCGANNetworks((4, 8), norm_discriminator=False)
SHAPE = (1, 8, 6)
BATCHES = 6


def model_of(**arguments):
    return DCGAN(SHAPE, **{"latent_dim": 3, "architecture": SMALL} | arguments)


def loader(batches=BATCHES, size=4):
    images = torch.rand(batches, size, *SHAPE)
    return DataLoader([batch_of(part) for part in images], batch_size=None)


def trainer_of(*callbacks, **arguments):
    defaults = {
        "accelerator": "cpu",
        "callbacks": list(callbacks),
        "enable_checkpointing": any(isinstance(c, ModelCheckpoint) for c in callbacks),
        "enable_model_summary": False,
        "enable_progress_bar": False,
        "log_every_n_steps": 1,
        "logger": False,
        "max_epochs": 1,
    }
    return Trainer(**defaults | arguments)


def weights(module):
    return torch.cat([p.detach().flatten() for p in module.parameters()])


def gradients(module):
    return [None if p.grad is None else p.grad.clone() for p in module.parameters()]


class Updates(list):
    """What each update of a training changed: the name of the network, and who had gradients."""

    def __init__(self, monkeypatch):
        super().__init__()
        real = dcgan.update

        def update(module, optimizer, terms, *, counted):
            networks = {"generator": module.generator, "discriminator": module.discriminator}
            before = {name: weights(network) for name, network in networks.items()}
            kept = {name: gradients(network) for name, network in networks.items()}
            result = real(module, optimizer, terms, counted=counted)
            changed = [n for n in networks if not torch.equal(before[n], weights(networks[n]))]
            for name in networks.keys() - changed:
                torch.testing.assert_close(gradients(networks[name]), kept[name])
            assert all(p.requires_grad for p in module.parameters())
            self.append((module.trainer.current_epoch, *changed))
            return result

        monkeypatch.setattr(dcgan, "update", update)


@pytest.mark.parametrize("penalty", [None, R1()])
@pytest.mark.parametrize("steps", [1, 3, 4])
def test_each_update_changes_its_own_network(steps, penalty, monkeypatch):
    updates = Updates(monkeypatch)
    model = model_of(discriminator_steps=steps, penalty=penalty)
    trainer_of(max_epochs=2).fit(model, loader())
    expected = []
    for batch in range(2 * BATCHES):
        epoch = batch // BATCHES
        expected.append((epoch, "discriminator"))
        if (batch + 1) % steps == 0:
            expected.append((epoch, "generator"))
    assert updates == expected


@pytest.mark.parametrize("steps", [1, 3])
class TestAStepIsABatch:
    def test_of_an_epoch(self, steps):
        trainer = trainer_of(max_epochs=2)
        trainer.fit(model_of(discriminator_steps=steps), loader())
        assert trainer.global_step == 2 * BATCHES

    def test_of_max_steps(self, steps):
        class Count(Callback):
            batches = 0

            def on_train_batch_end(self, *_):
                self.batches += 1

        count = Count()
        trainer_of(count, max_epochs=-1, max_steps=8).fit(
            model_of(discriminator_steps=steps), loader()
        )
        assert count.batches == 8

    # The weights after the updates are what is wanted, as for every other model.
    @pytest.mark.filterwarnings("ignore:Using ModelCheckpoint with manual optimization")
    def test_of_every_n_train_steps(self, steps, tmp_path):
        keep = ModelCheckpoint(tmp_path, "{step}", every_n_train_steps=2, save_top_k=-1)
        trainer_of(keep).fit(model_of(discriminator_steps=steps), loader())
        names = sorted(path.name for path in tmp_path.iterdir())
        assert names == ["step=2.ckpt", "step=4.ckpt", "step=6.ckpt"]

    def test_that_is_seen_within_it(self, steps):
        class Seen(Callback):
            steps = ()

            def on_before_backward(self, trainer, *_):
                self.steps += (trainer.global_step,)

        seen = Seen()
        trainer_of(seen).fit(model_of(discriminator_steps=steps), loader())
        updates = [1 + ((batch + 1) % steps == 0) for batch in range(BATCHES)]
        assert list(seen.steps) == [step for step, n in enumerate(updates) for _ in range(n)]


def test_the_optimizers_that_were_asked_for():
    model = model_of(optimizer=partial(SGD, lr=0.1))
    optimizers = model.configure_optimizers()
    assert [type(o) for o in optimizers] == [SGD, SGD]
    owned = [{id(p) for group in o.param_groups for p in group["params"]} for o in optimizers]
    assert owned == [
        {id(p) for p in m.parameters()} for m in (model.generator, model.discriminator)
    ]
    first, second = model_of(discriminator_optimizer=partial(SGD, lr=0.3)).configure_optimizers()
    assert isinstance(first, Adam)
    assert (first.defaults["lr"], first.defaults["betas"]) == (2e-4, (0.5, 0.999))
    assert (type(second), second.defaults["lr"]) == (SGD, 0.3)


def test_schedulers_are_stepped_once_an_epoch():
    class Rates(Callback):
        seen = ()

        def on_train_epoch_start(self, trainer, pl_module):
            self.seen += (tuple(o.param_groups[0]["lr"] for o in trainer.optimizers),)

    rates = Rates()
    model = model_of(
        optimizer=partial(SGD, lr=1.0),
        discriminator_optimizer=partial(SGD, lr=4.0),
        lr_scheduler=partial(ExponentialLR, gamma=0.5),
    )
    trainer_of(rates, max_epochs=3).fit(model, loader())
    assert rates.seen == ((1.0, 4.0), (0.5, 2.0), (0.25, 1.0))


def test_a_cut_epoch_does_not_step_the_schedulers():
    model = model_of(lr_scheduler=partial(ExponentialLR, gamma=0.5))
    trainer = trainer_of(max_epochs=3, max_steps=BATCHES + 2)
    trainer.fit(model, loader())
    assert trainer.optimizers[0].param_groups[0]["lr"] == 1e-4


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "16-mixed"])
def test_gradients_are_clipped(precision):
    """float16 with its loss scale, which Lightning has on GPUs alone, comes in as a plugin."""
    precisions = {"precision": precision}
    if precision == "16-mixed":
        precisions = {"plugins": [MixedPrecision("16-mixed", "cpu")]}

    class Norms(DCGAN):
        seen = ()

        def on_before_optimizer_step(self, optimizer):
            norms = [self.norm_of(optimizer)]
            super().on_before_optimizer_step(optimizer)
            self.seen += ((*norms, self.norm_of(optimizer)),)

        @staticmethod
        def norm_of(optimizer):
            [group] = optimizer.param_groups
            return math.hypot(*(p.grad.norm().item() for p in group["params"]))

    for clip_norm in (None, 1e-4):
        model = Norms(SHAPE, 3, SMALL, clip_norm=clip_norm)
        trainer_of(**precisions).fit(model, loader(2))
        assert len(model.seen) == 4
        for before, after in model.seen:
            assert 2e-4 < before < 10
            assert after == pytest.approx(clip_norm or before, rel=0.02)
            assert after <= (clip_norm or before)


@pytest.mark.parametrize("objective", [NonSaturating(), Hinge(), Wasserstein()])
@torch.no_grad()
def test_logged_terms_are_those_of_held_out_images(objective):
    """The networks are replaced by ones whose scores are known."""
    model = model_of(objective=objective)
    model.generator = torch.nn.Sequential(torch.nn.Linear(3, 48), torch.nn.Unflatten(1, SHAPE))
    model.generator[0].weight.zero_()
    model.generator[0].bias.fill_(0.25)
    model.discriminator = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(48, 1))
    model.discriminator.append(torch.nn.Flatten(0))
    model.discriminator[1].weight.fill_(0.1)
    model.discriminator[1].bias.fill_(-2.0)
    images = [torch.rand(size, *SHAPE) for size in (4, 2)]
    data = DataLoader([batch_of(part) for part in images], batch_size=None)
    [logged] = trainer_of().test(model, data, verbose=False)
    real = torch.cat(images).flatten(1).sum(dim=1) * 0.1 - 2
    fake = torch.full((6,), 48 * 0.25 * 0.1 - 2)
    assert logged == pytest.approx(
        {
            "test/discriminator_loss": objective.discriminator(real, fake).item(),
            "test/generator_loss": objective.generator(fake).item(),
            "test/real_score": real.mean().item(),
            "test/fake_score": fake.mean().item(),
        },
        rel=1e-4,
    )


def test_training_logs_its_terms():
    trainer = trainer_of()
    trainer.fit(model_of(penalty=GradientPenalty()), loader())
    names = {"discriminator_loss", "generator_loss", "real_score", "fake_score", "penalty"}
    assert trainer.logged_metrics.keys() == {f"train/{name}" for name in names}
    trainer = trainer_of()
    trainer.fit(model_of(), loader())
    assert "train/penalty" not in trainer.logged_metrics


@pytest.mark.parametrize("every", [0, 1, 4])
def test_training_terms_are_logged_every_n_steps(every):
    steps = []

    class Recorder(DCGAN):
        def _log_terms(self, stage, terms, batch_size):
            steps.append(self.global_step - 1)

    model = Recorder(SHAPE, 3, SMALL)
    trainer_of(max_epochs=2, log_every_n_steps=every).fit(model, loader())
    assert steps == {0: [], 1: [*range(12)], 4: [3, 7, 11]}[every]


def test_evaluation_updates_nothing():
    model = model_of()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    trainer_of().validate(model, loader(), verbose=False)
    torch.testing.assert_close(model.state_dict(), before, rtol=0, atol=0)


@torch.no_grad()
def test_samples_decode_noise_in_evaluation_mode_each_for_itself():
    model = model_of().eval()
    torch.manual_seed(3)
    samples = model.sample(5)
    torch.manual_seed(3)
    codes = torch.randn(5, 3)
    torch.testing.assert_close(model.decode(codes), samples)
    torch.testing.assert_close(model.decode(codes[2:3]), samples[2:3])


@pytest.mark.parametrize("stage", ["fit", "validate", "test"])
def test_images_out_of_range_are_refused(stage):
    images = torch.rand(4, *SHAPE) * 2
    data = DataLoader([batch_of(images)], batch_size=None)
    with pytest.raises(UserError, match=r"models take images in \[0, 1\]"):
        getattr(trainer_of(), stage)(model_of(), data)


def test_a_loss_that_is_no_number_stops_the_run():
    model = model_of(optimizer=partial(SGD, lr=1e30))
    with pytest.raises(UserError, match=r"the loss became .* set model.clip_norm, or"):
        trainer_of(FiniteLoss(), max_epochs=3).fit(model, loader())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"discriminator_steps": 0}, "discriminator_steps .* at least 1, got 0"),
        ({"clip_norm": 0.0}, "clip_norm .* above 0, got 0.0"),
        ({"clip_norm": math.nan}, "clip_norm .* above 0, got nan"),
        (
            {"penalty": R1(), "architecture": DCGANNetworks((4, 8))},
            "BatchNorm in the discriminator mixes .*norm_discriminator to false",
        ),
        (
            {"penalty": GradientPenalty(), "architecture": DCGANNetworks((4, 8))},
            "BatchNorm in the discriminator mixes .*norm_discriminator to false",
        ),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(UserError, match=message):
        model_of(**arguments)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"accumulate_grad_batches": 2}, "takes trainer.accumulate_grad_batches 1, got 2"),
        ({"gradient_clip_val": 0.5}, "got trainer.gradient_clip_val 0.5. Set model.clip_norm"),
    ],
)
def test_options_of_automatic_optimisation_are_refused_for_training_only(options, message):
    with pytest.raises(UserError, match=message):
        trainer_of(**options).fit(model_of(), loader())
    trainer_of(**options).test(model_of(), loader(), verbose=False)


def test_a_scheduler_that_waits_for_a_loss_is_refused():
    with pytest.raises(UserError, match=r"ReduceLROnPlateau .* a GAN has none"):
        trainer_of().fit(model_of(lr_scheduler=ReduceLROnPlateau), loader())


def test_a_checkpoint_builds_the_same_model(tmp_path):
    given = {
        "architecture": DCGANNetworks((6,), 5, 0.1, norm_discriminator=False),
        "objective": Hinge(),
        "penalty": R1(2.0),
        "discriminator_steps": 2,
        "optimizer": partial(Adam, lr=1e-3, betas=(0.0, 0.9)),
        "clip_norm": 3.0,
    }
    trainer = trainer_of()
    model = model_of(**given)
    trainer.fit(model, loader())
    trainer.save_checkpoint(tmp_path / "x.ckpt")
    loaded = DCGAN.load_from_checkpoint(tmp_path / "x.ckpt")
    assert loaded.hparams["architecture"] == model.hparams["architecture"]
    assert (loaded.objective, loaded.penalty, loaded.clip_norm) == (Hinge(), R1(2.0), 3.0)
    assert loaded.configure_optimizers()[1].defaults["betas"] == (0.0, 0.9)
    torch.testing.assert_close(loaded.state_dict(), model.state_dict())


@pytest.mark.slow
def test_training_draws_the_samples_towards_the_data():
    data = MiniFashionMNIST(batch_size=50)
    data.setup("fit")
    images = next(iter(data.train_dataloader())).images / 255
    optimizer = partial(Adam, lr=1e-3, betas=(0.5, 0.999))
    model = DCGAN((1, 28, 28), 16, DCGANNetworks((16, 32), dropout=0.3), optimizer=optimizer)

    @torch.no_grad()
    def look():
        samples = model.eval().sample(100)
        diversity = mean_pairwise_distance(samples) / mean_pairwise_distance(images)
        return (samples.mean(0) - images.mean(0)).norm().item(), diversity.item()

    distance_before, diversity_before = look()
    model.train()
    trainer_of(max_steps=100, limit_val_batches=0).fit(model, data)
    distance, diversity = look()
    assert distance < 0.6 * distance_before
    assert diversity_before < 0.1
    assert 0.3 < diversity < 1.5
