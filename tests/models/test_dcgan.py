import math
from functools import partial

import pytest
import torch
from lightning.pytorch import seed_everything
from lightning.pytorch.callbacks import EMAWeightAveraging, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.plugins.precision import MixedPrecision
from torch import nn
from torch.optim import SGD, Adam
from torch.optim.lr_scheduler import ExponentialLR, ReduceLROnPlateau

from lightning_gen import fit, load
from lightning_gen.callbacks import FiniteLoss, RandomState
from lightning_gen.data import MiniFashionMNIST
from lightning_gen.metrics import mean_pairwise_distance
from lightning_gen.models import DCGAN
from lightning_gen.models.gan import GAN, PlayerTerms, judge
from lightning_gen.networks import DCGANNetworks
from lightning_gen.objectives import (
    R1,
    R1R2,
    GradientPenalty,
    Hinge,
    LeastSquares,
    NonSaturating,
    Relativistic,
    Wasserstein,
)
from lightning_gen.training.warm_start import freeze
from support.command import column
from support.models import batch_of, loader_of, trainer_of
from support.ordered import KilledError, StopAt, Tiny
from support.refusals import assert_refused

SMALL = DCGANNetworks((4, 8), norm_discriminator=False)
PENALTIES = (R1(), GradientPenalty())
MIXES = "BatchNorm in the discriminator mixes .*norm_discriminator to false"
SHAPE = (1, 8, 6)
JUDGED = ("discriminator_loss", "discriminator_accuracy", "real_score", "fake_score")
BATCHES = 6
IMAGES = torch.rand(4 * BATCHES, *SHAPE, generator=torch.Generator().manual_seed(0))


def model_of(**arguments):
    return DCGAN(SHAPE, **{"latent_dim": 3, "architecture": SMALL} | arguments)


def weights(module):
    return torch.cat([p.detach().flatten() for p in module.parameters()])


def gradients(module):
    return [None if p.grad is None else p.grad.clone() for p in module.parameters()]


class Updates(list):
    """The epoch of each update of a training, and the name of the network that it changed."""

    def __init__(self, monkeypatch):
        super().__init__()
        real = DCGAN._update

        def update(module, optimizer, terms, *seen, counted):
            networks = {"generator": module.generator, "discriminator": module.discriminator}
            before = {name: weights(network) for name, network in networks.items()}
            kept = {name: gradients(network) for name, network in networks.items()}
            result = real(module, optimizer, terms, *seen, counted=counted)
            changed = [n for n in networks if not torch.equal(before[n], weights(networks[n]))]
            for name in networks.keys() - changed:
                torch.testing.assert_close(gradients(networks[name]), kept[name])
            assert all(p.requires_grad for p in module.parameters())
            self.append((module.trainer.current_epoch, *changed))
            return result

        monkeypatch.setattr(DCGAN, "_update", update)


@pytest.mark.parametrize(("steps", "penalty"), [(1, None), (3, R1()), (4, None)])
def test_each_update_changes_its_own_network(steps, penalty, monkeypatch):
    updates = Updates(monkeypatch)
    model = model_of(discriminator_steps=steps, penalty=penalty)
    trainer_of(max_epochs=2).fit(model, loader_of(IMAGES, 4))
    expected = []
    for batch in range(2 * BATCHES):
        epoch = batch // BATCHES
        expected.append((epoch, "discriminator"))
        if (batch + 1) % steps == 0:
            expected.append((epoch, "generator"))
    assert updates == expected


class OwnGAN(GAN):
    """One of a user's own: images are a linear map of noise."""

    def __init__(self, latent_dim=3, size=48, **game):
        super().__init__(**game)
        self.image_map = nn.Linear(latent_dim, size)
        self.discriminator = nn.Sequential(nn.Flatten(), nn.Linear(size, 1), nn.Flatten(0))

    def fakes(self, seen):
        return self.image_map(torch.randn(len(seen.images), 3)).view_as(seen.images)

    def discriminator_terms(self, seen, training_step):
        real, fake = self.discriminator(seen.images), self.discriminator(self.fakes(seen).detach())
        return judge(Hinge(), real=real, fake=fake)

    def generator_terms(self, seen, training_step):
        loss = Hinge().generator(self.discriminator(self.fakes(seen)))
        return PlayerTerms(loss, {"generator_loss": loss})


def test_a_gan_of_one_s_own_is_its_networks_and_its_terms():
    model, trainer = OwnGAN(optimizer=partial(Adam, lr=0.01)), trainer_of(max_epochs=8)
    trainer.fit(model, loader_of(IMAGES, 4), loader_of(IMAGES, 4))
    terms = {"generator_loss", *JUDGED}
    assert trainer.callback_metrics.keys() == {f"{s}/{t}" for s in ("train", "val") for t in terms}
    assert model.image_map.bias.mean() > 0.1  # that of the images is 0.5


def test_a_gan_of_one_s_own_is_kept_by_its_latest_epoch(in_tmp):
    """It has no ``val/loss`` to be best in."""
    data = MiniFashionMNIST(batch_size=1000)
    options = {"max_epochs": 2, "limit_train_batches": 2, "limit_val_batches": 1}
    run = fit(OwnGAN(3, 784, optimizer=partial(Adam, lr=0.01)), data, seed=0, **options)
    assert load(run.path, allow=OwnGAN.__module__).image_map.weight.shape == (784, 3)
    assert run.checkpoint.name == "best.ckpt"
    assert torch.load(run.checkpoint, weights_only=True)["global_step"] == 4


# The weights after the updates are what is wanted, as for every other model.
@pytest.mark.filterwarnings("ignore:Using ModelCheckpoint with manual optimization")
@pytest.mark.parametrize("steps", [1, 3])
def test_every_n_train_steps_counts_batches(steps, tmp_path):
    keep = ModelCheckpoint(tmp_path, "{step}", every_n_train_steps=2, save_top_k=-1)
    trainer = trainer_of(keep, enable_checkpointing=True)
    trainer.fit(model_of(discriminator_steps=steps), loader_of(IMAGES, 4))
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["step=2.ckpt", "step=4.ckpt", "step=6.ckpt"]


def test_the_optimizers_that_were_asked_for():
    model = model_of(optimizer=partial(SGD, lr=0.1))
    assert [type(o) for o in model.configure_optimizers()] == [SGD, SGD]
    first, second = model_of(discriminator_optimizer=partial(SGD, lr=0.3)).configure_optimizers()
    assert isinstance(first, Adam)
    assert (first.defaults["lr"], first.defaults["betas"]) == (2e-4, (0.5, 0.999))
    assert (type(second), second.defaults["lr"]) == (SGD, 0.3)


@pytest.mark.parametrize(("steps", "rates"), [(-1, [0.125, 0.5]), (BATCHES + 2, [0.5, 2.0])])
def test_schedulers_are_stepped_once_an_epoch_and_not_in_a_cut_one(steps, rates):
    model = model_of(
        optimizer=partial(SGD, lr=1.0),
        discriminator_optimizer=partial(SGD, lr=4.0),
        lr_scheduler=partial(ExponentialLR, gamma=0.5),
    )
    trainer = trainer_of(max_epochs=3, max_steps=steps)
    trainer.fit(model, loader_of(IMAGES, 4))
    assert [o.param_groups[0]["lr"] for o in trainer.optimizers] == rates


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
        trainer_of(**precisions).fit(model, loader_of(IMAGES[:8], 4))
        assert len(model.seen) == 4
        for before, after in model.seen:
            assert 2e-4 < before < 10
            assert after == pytest.approx(clip_norm or before, rel=0.02)
            assert after <= (clip_norm or before)


@pytest.mark.parametrize(
    "objective", [NonSaturating(), Hinge(), Wasserstein(), LeastSquares(), Relativistic()]
)
@torch.no_grad()
def test_logged_terms_are_those_of_held_out_images(objective):
    """The networks are replaced by ones whose scores are known."""
    model = model_of(objective=objective)
    model.generator = nn.Sequential(nn.Linear(3, 48), nn.Unflatten(1, SHAPE))
    model.generator[0].weight.zero_()
    model.generator[0].bias.fill_(0.25)
    model.discriminator = nn.Sequential(nn.Flatten(), nn.Linear(48, 1))
    model.discriminator.append(nn.Flatten(0))
    model.discriminator[1].weight.fill_(0.1)
    model.discriminator[1].bias.fill_(-2.0)
    [logged] = trainer_of().test(model, loader_of(IMAGES[:6], 4), verbose=False)
    real = IMAGES[:6].flatten(1).sum(dim=1) * 0.1 - 2
    fake = torch.full((6,), 48 * 0.25 * 0.1 - 2)
    losses = objective.discriminator(real, fake), objective.generator(fake, real)
    names = ("discriminator_loss", "generator_loss", *JUDGED[1:])
    right = (real > fake).float().mean()
    expected = zip(names, (*losses, right, real.mean(), fake.mean()), strict=True)
    expected = {f"test/{name}": value.item() for name, value in expected}
    assert logged == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(("penalty", "its"), [(GradientPenalty(), {"penalty"}), (None, set())])
def test_training_logs_its_terms(penalty, its):
    trainer = trainer_of()
    trainer.fit(model_of(penalty=penalty), loader_of(IMAGES, 4))
    names = {"generator_loss", *JUDGED} | its
    assert trainer.logged_metrics.keys() == {f"train/{name}" for name in names}


def test_a_lazy_penalty_is_as_many_times_as_large():
    model, batch = model_of(penalty=R1R2(3.0, every=2)), batch_of(IMAGES)
    found = []
    for step in range(4):
        torch.manual_seed(0)
        found.append(model.discriminator_terms(batch, step))
    assert ["penalty" in terms.values for terms in found] == [False, True, False, True]
    plain, lazy, *_ = found
    assert lazy.loss.item() == pytest.approx((plain.loss + 2 * lazy.values["penalty"]).item())


@torch.no_grad()
def test_samples_decode_noise_in_evaluation_mode_each_for_itself():
    model = model_of().eval()
    torch.manual_seed(3)
    samples = model.sample(5)
    torch.manual_seed(3)
    codes = torch.randn(5, 3)
    torch.testing.assert_close(model.decode(codes), samples)
    torch.testing.assert_close(model.decode(codes[2:3]), samples[2:3])


def test_a_loss_that_is_no_number_stops_the_run():
    model, trainer = model_of(optimizer=partial(SGD, lr=1e30)), trainer_of(FiniteLoss())
    said = r"the loss became .* set model.clip_norm, or"
    assert_refused(said, trainer.fit, model, loader_of(IMAGES, 4))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"discriminator_steps": 0}, "discriminator_steps .* at least 1, got 0"),
        ({"clip_norm": math.nan}, "clip_norm .* above 0, got nan"),
        *(({"penalty": each, "architecture": DCGANNetworks((4, 8))}, MIXES) for each in PENALTIES),
    ],
)
def test_bad_arguments(arguments, message):
    assert_refused(message, model_of, **arguments)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ({}, {"accumulate_grad_batches": 2}, "takes trainer.accumulate_grad_batches 1, got 2"),
        ({}, {"gradient_clip_val": 0.5}, "got trainer.gradient_clip_val 0.5. Set model.clip_norm"),
        ({"lr_scheduler": ReduceLROnPlateau}, {}, r"ReduceLROnPlateau .* a GAN has none"),
    ],
)
def test_what_needs_a_single_loss_is_refused_for_training_only(arguments, options, message):
    assert_refused(message, trainer_of(**options).fit, model_of(**arguments), loader_of(IMAGES, 4))
    trainer_of(**options).test(model_of(**arguments), loader_of(IMAGES, 4), verbose=False)


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
    trainer_of(max_steps=100, limit_val_batches=0, log_every_n_steps=50).fit(model, data)
    distance, diversity = look()
    assert distance < 0.6 * distance_before
    assert diversity_before < 0.1
    assert 0.3 < diversity < 1.5


class LastStep(StopAt):
    """Keeps the weights of the last step, which the average replaces; a step may be the end."""

    def on_train_batch_end(self, trainer, pl_module, *_):
        self.raw = {name: value.clone() for name, value in pl_module.state_dict().items()}
        super().on_train_batch_end(trainer, pl_module)


def resumable(folder, checkpoint=None, stop=None, **saving):
    """The weights at the end, raw and averaged, or the checkpoint that a killed run leaves."""
    seed_everything(5, verbose=False)
    networks = DCGANNetworks((4, 8), dropout=0.2, norm_discriminator=False)
    game = {"penalty": GradientPenalty(), "discriminator_steps": 3}
    halved = partial(ExponentialLR, gamma=0.5)
    model = DCGAN((1, 28, 28), 6, networks, **game, lr_scheduler=halved)
    keep, last = ModelCheckpoint(folder, save_top_k=-1, **saving), LastStep(stop)
    callbacks = (EMAWeightAveraging(decay=0.9), RandomState(), keep, last)
    trainer = trainer_of(*callbacks, max_epochs=3, enable_checkpointing=True)
    if stop is None:
        trainer.fit(model, Tiny(), ckpt_path=checkpoint)
        assert trainer.global_step == 3 * 8
        assert trainer.optimizers[0].param_groups[0]["lr"] == 2e-4 * 0.5**3
        return {"raw": last.raw, "average": model.state_dict()}
    with pytest.raises(KilledError):
        trainer.fit(model, Tiny(), ckpt_path=checkpoint)
    return keep.best_model_path


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    return resumable(tmp_path_factory.mktemp("uninterrupted"))


# A resumed run saves where the stopped one did.
@pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty")
@pytest.mark.filterwarnings("ignore:Using ModelCheckpoint with manual optimization")
@pytest.mark.parametrize(
    "saving",
    [
        *({"every_n_train_steps": number} for number in (11, 8)),  # mid-epoch, at its last batch
        *({"save_on_train_epoch_end": before} for before in (True, False)),  # the validation
    ],
    ids=str,
)
def test_a_run_that_was_stopped_ends_to_the_bit_where_the_whole_one_does(
    saving, tmp_path, uninterrupted
):
    resumed = resumable(tmp_path, resumable(tmp_path, stop=15, **saving), **saving)
    for kind, whole in uninterrupted.items():
        assert whole.keys() == resumed[kind].keys()
        for name, value in whole.items():
            assert torch.equal(value, resumed[kind][name]), (kind, name)


def test_a_step_without_a_penalty_logs_none(tmp_path):
    logger = CSVLogger(tmp_path, name="run", version="")
    trainer = trainer_of(logger=logger, num_sanity_val_steps=0)
    trainer.fit(model_of(penalty=R1(every=3), discriminator_steps=2), loader_of(IMAGES, 4))
    logged = (
        column(tmp_path / "run", "train/penalty"),
        column(tmp_path / "run", "train/generator_loss"),
    )
    assert [[*each] for each in logged] == [[2, 5], [1, 3, 5]]


@pytest.mark.parametrize("player", ["discriminator", "generator"])
def test_a_player_that_learns_nothing_is_refused(player):
    assert_refused("nothing is left to train for one of the players", freeze, model_of(), player)
