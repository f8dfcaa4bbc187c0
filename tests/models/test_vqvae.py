"""What VQ-VAE promises beyond tests/models/test_all_models.py: two phases, the codes, the bound."""

import math
from functools import partial

import pytest
import torch
from lightning.pytorch import Callback
from torch import nn
from torch.optim import AdamW

from lightning_gen.callbacks import CodebookUse
from lightning_gen.data import MiniFashionMNIST
from lightning_gen.models import VQVAE
from lightning_gen.networks import Codebook, SpatialResidual
from lightning_gen.objectives import Gaussian
from lightning_gen.priors import Autoregressive
from support.models import batch_of, constant_image_floor, loader_of, trainer_of
from support.refusals import assert_refused

SHAPE = (1, 13, 10)  # a map of 3 x 2
POSITIONS = 6


def small(**arguments):
    defaults = {
        "architecture": SpatialResidual((4, 8), 1),
        "codebook": Codebook(size=16, dim=4),
        "prior": Autoregressive(8, 1, 2, dropout=0.0),
        "autoencoder_epochs": 1,
    }
    return VQVAE(SHAPE, **defaults | arguments)


@pytest.fixture
def images():
    return torch.randint(0, 256, (24, *SHAPE)) / 255


@pytest.fixture
def used(images):
    model = small(codebook=Codebook(size=16, dim=4, count=2))
    with torch.no_grad():
        for _ in range(3):
            model.terms(batch_of(images), images, 0)
        assert model.quantize(images).unique().numel() > 4
    return model.eval()


class EndOfEpoch(Callback):
    def __init__(self, look):
        self.look = look
        self.kept = []

    def on_train_epoch_end(self, trainer, pl_module):
        self.kept.append(self.look(trainer, pl_module))


def state_of(model):
    return {k: v.clone() for k, v in model.state_dict().items()}


def same(one, other, prior):
    """The parts of a state that are equal, of the prior or of the rest."""
    keys = [key for key in one if key.startswith("prior.") == prior]
    assert keys
    return [key for key in keys if torch.equal(one[key], other[key])], keys


def test_each_phase_freezes_the_other(images):
    model = small(
        architecture=SpatialResidual((4, 8), 1, normalization=nn.BatchNorm2d),
        autoencoder_epochs=2,
        likelihood=Gaussian(learned=True),
        optimizer=partial(AdamW, lr=0.01, weight_decay=0.1),
    )
    states = EndOfEpoch(lambda _, model: state_of(model))
    states.kept.append(state_of(model))
    trainer_of(states, max_epochs=4).fit(model, loader_of(images), loader_of(images))
    for before, after, trained in [(0, 1, False), (1, 2, False), (2, 3, True), (3, 4, True)]:
        one, other = states.kept[before], states.kept[after]
        untouched, all_frozen = same(one, other, prior=not trained)
        assert untouched == all_frozen
        assert not same(one, other, prior=trained)[0]


def test_a_resumed_run_is_in_the_phase_of_its_epoch(images, tmp_path):
    def fit(epochs, path=None):
        torch.manual_seed(1)
        model, run = small(autoencoder_epochs=2), trainer_of(max_epochs=epochs)
        run.fit(model, loader_of(images), ckpt_path=path, weights_only=True)
        run.save_checkpoint(tmp_path / f"{epochs}.ckpt")
        return model.state_dict()

    whole = fit(3)
    fit(2)
    resumed = fit(3, tmp_path / "2.ckpt")
    assert all(torch.equal(value, whole[name]) for name, value in resumed.items())


@pytest.mark.parametrize("count", [1, 2])
def test_the_bound_before_the_prior_is_trained(count, images):
    model = small(codebook=Codebook(size=16, dim=4, count=count))
    with torch.no_grad():
        p = model.reconstruct(images).double()
    x = images.double()
    reconstruction = -(x * p.log() + (1 - x) * (1 - p).log()).sum().item() / len(images)
    kl = POSITIONS * count * math.log(16)
    [logged] = trainer_of().test(model, loader_of(images, 5), verbose=False)
    names = {"loss": reconstruction + kl, "reconstruction": reconstruction, "kl": kl}
    assert logged == pytest.approx({f"test/{k}": v for k, v in names.items()}, rel=1e-5)


@torch.no_grad()
def test_the_bound_has_the_prior_of_the_codes(used, images):
    used.prior.bias.normal_()
    codes = used.quantize(images)
    by_hand = used.prior.bias.log_softmax(dim=1)  # the output layer is zero but for its bias
    kl = -sum(by_hand[book, codes[:, :, book]].sum() for book in range(2)) / len(images)
    terms = used.terms(batch_of(images), images)
    assert terms["kl"].item() == pytest.approx(kl.item(), rel=1e-5)
    assert terms["loss"].item() == pytest.approx((terms["reconstruction"] + terms["kl"]).item())


def test_the_loss_of_the_autoencoder(images):
    model = small(codebook=Codebook(size=16, dim=4, commitment=0.7))
    with torch.no_grad():
        features = model.encoder(images)
        quantised = model.encode(images).view_as(features)
        expected = model.terms(batch_of(images), images)
    terms = model.terms(batch_of(images), images, 0)
    distance = 0.7 * torch.dist(features, quantised).item() ** 2 / len(images)
    assert terms["commitment"].item() == pytest.approx(distance, rel=1e-4)
    assert terms["kl"].item() == pytest.approx(expected["kl"].item(), rel=1e-5)
    assert terms["reconstruction"].item() == pytest.approx(
        expected["reconstruction"].item(), rel=1e-5
    )
    parts = terms["reconstruction"] + terms["kl"] + terms["commitment"]
    assert terms["loss"].item() == pytest.approx(parts.item())
    assert 1 <= terms["perplexity"] <= 16 * terms["code_use"] <= 16


def test_the_encoder_gets_the_decoders_gradient(images):
    model = small(codebook=Codebook(size=16, dim=4, commitment=0.0))
    features = model.encoder(images)
    seen = []
    model.encoder.register_forward_hook(lambda module, inputs, output: features)
    model.decoder.register_full_backward_hook(lambda module, into, out: seen.append(into[0]))
    features.retain_grad()
    model.terms(batch_of(images), images, 0)["loss"].backward()
    assert features.grad.abs().sum() > 0
    assert torch.equal(features.grad, seen[0])


def test_evaluation_leaves_the_codebooks_alone(images):
    model = small()
    before = state_of(model)
    trainer_of().validate(model, loader_of(images), verbose=False)
    model.sample(3)
    model.reconstruct(images)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


def test_the_prior_learns_from_undamaged_images(used, images, monkeypatch):
    monkeypatch.setattr(VQVAE, "current_epoch", 1)
    used.prior.bias.data.normal_()
    terms = used.terms(batch_of(images), torch.zeros_like(images), 0)
    expected = -used.prior.log_prob(used.quantize(images)).mean()
    assert terms["loss"] == terms["kl"] == expected


@torch.no_grad()
def test_codes_are_entries_of_the_codebooks(used, images):
    codes = used.encode(images)
    assert codes.shape == (24, 4 * POSITIONS)
    maps, indices = codes.view(24, 2, 2, POSITIONS), used.quantize(images)
    assert indices.shape == (24, POSITIONS, 2)
    for book in range(2):
        entries = used.quantizer.codes[book][indices[:, :, book]]
        assert torch.equal(maps[:, book].mT, entries)


@torch.no_grad()
def test_a_code_decodes_to_the_reconstruction_and_so_does_its_neighbourhood(used, images):
    codes = used.encode(images)
    expected = used.reconstruct(images)
    assert torch.equal(used.decode(codes), expected)
    log_likelihood = used.likelihood.log_prob(used.decoder(codes.view(24, 4, 3, 2)), images)
    terms = used.terms(batch_of(images), images)
    assert terms["reconstruction"].item() == pytest.approx(-log_likelihood.mean().item())
    gap = torch.cat([torch.pdist(book) for book in used.quantizer.codes]).min()
    near = codes + 0.2 * gap * torch.rand_like(codes)
    assert torch.equal(used.decode(near), expected)


@torch.no_grad()
def test_samples_come_from_the_prior_and_uniform_ones_do_not(used):
    used.prior.bias[:, 3] = 50.0
    index = torch.full((1, POSITIONS, 2), 3)
    [expected] = used._decode(used._lookup(index))
    torch.testing.assert_close(used.sample(5), expected.expand(5, *SHAPE))
    drawn = used.sample_uniformly(40)
    assert drawn.shape == (40, *SHAPE)
    assert len({tuple(image.flatten().tolist()) for image in drawn}) == 40


def test_autoencoder_epochs_must_be_positive():
    assert_refused(r"autoencoder_epochs .* at least 1, got 0", small, autoencoder_epochs=0)


@pytest.mark.slow
def test_both_phases_learn_on_real_images(tmp_path):
    torch.manual_seed(0)
    data = MiniFashionMNIST(batch_size=50)
    networks = SpatialResidual((8, 16), 1), Codebook(size=64, dim=16), Autoregressive(32, 1, 2)
    learns = partial(torch.optim.Adam, lr=3e-3)
    model = VQVAE(data.image_shape, *networks, autoencoder_epochs=2, optimizer=learns)
    bounds = EndOfEpoch(lambda trainer, _: dict(trainer.callback_metrics))
    arguments = {"max_epochs": 3, "default_root_dir": tmp_path}
    trainer_of(CodebookUse(), bounds, **arguments).fit(model, data)
    _, first, last = bounds.kept
    constant = constant_image_floor(data.load("train").images / 255)
    assert last["val/reconstruction"] == first["val/reconstruction"]
    assert last["val/reconstruction"] < constant - 120
    assert first["val/kl"].item() == pytest.approx(49 * math.log(64))
    assert last["val/kl"] < 0.75 * first["val/kl"]
    assert last["val/perplexity"] > 32
    assert last["val/code_use"] > 0.9


@pytest.mark.slow
def test_two_processes_train_both_phases(images, tmp_path):
    model = small(autoencoder_epochs=1)
    before = state_of(model)
    options = {"devices": 2, "strategy": "ddp_spawn_find_unused_parameters_true"}
    run = trainer_of(max_epochs=2, default_root_dir=tmp_path, **options)
    run.fit(model, loader_of(images))
    assert not same(before, model.state_dict(), prior=True)[0]
    assert not same(before, model.state_dict(), prior=False)[0]
