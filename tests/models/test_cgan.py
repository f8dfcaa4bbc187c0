from functools import partial

import pytest
import torch
from lightning.pytorch import seed_everything
from lightning.pytorch.callbacks import EMAWeightAveraging
from torch import nn
from torch.optim import Adam

from lightning_gen import contracts
from lightning_gen.contracts import Batch, able
from lightning_gen.models import CGAN
from lightning_gen.networks import DCGANNetworks
from lightning_gen.networks.condition import (
    ClassCondition,
    ProjectionDiscriminator,
    make_condition,
)
from lightning_gen.objectives import R1R2, GradientPenalty, Relativistic
from support.models import batch_of, build, loader_of, trainer_of
from support.refusals import assert_refused

SHAPE = (1, 12, 10)
SMALL = DCGANNetworks((4, 8), norm_discriminator=False)


@pytest.fixture(params=[{}, {"attributes": ("hat", "size")}])
def model(request):
    return build(CGAN, SHAPE, latent_dim=3, architecture=SMALL, **request.param)


def test_it_samples_a_condition_and_encodes_nothing(model):
    assert isinstance(model, contracts.Conditional)
    assert able(model, (contracts.Decodes, contracts.SamplesCodes))
    assert not able(model, (contracts.Encodes,))


@torch.no_grad()
def test_samples_of_a_label_are_decoded_from_it(model):
    model.eval()
    label = list(model.examples().values())[1]
    labels = label.expand(5, *label.shape)
    torch.manual_seed(3)
    images = model.sample(5, labels)
    torch.manual_seed(3)
    codes = torch.cat([torch.randn(5, 3), model.condition.vectors(labels)], dim=1)
    assert torch.equal(images, model.decode(codes))
    other = torch.cat([codes[:, :3], 1 - codes[:, 3:]], dim=1)
    assert not torch.equal(images, model.decode(other))


@torch.no_grad()
def test_the_discriminator_projects_the_condition(model):
    batch = batch_of(torch.rand(6, *SHAPE))
    vectors, judge = model.condition.of(batch), model.discriminator
    plain = judge.score(judge.features(batch.images)).flatten()
    assert torch.equal(judge(batch.images, vectors), plain)  # it starts without
    nn.init.normal_(judge.embed.weight)
    told = judge.features(batch.images) @ judge.embed.weight @ vectors.T
    torch.testing.assert_close(judge(batch.images, vectors), plain + told.diagonal())


@torch.no_grad()
def test_real_images_under_another_condition_count_as_generated_ones(model):
    nn.init.normal_(model.discriminator.embed.weight)
    batch = batch_of(torch.rand(6, *SHAPE))
    judge, own = model.discriminator, model.condition.of(batch)
    torch.manual_seed(0)
    terms = model.discriminator_terms(batch, 0)
    torch.manual_seed(0)
    fake = model.decode(model._codes(batch))
    other = judge(batch.images, model.condition.others(own))
    real, fake = judge(batch.images, own), judge(fake, own)
    expected = sum(model.objective.discriminator(real, each) for each in (fake, other))
    torch.testing.assert_close(terms.loss, expected)
    assert terms.values["mismatched_score"].item() == pytest.approx(other.mean().item())


def test_another_condition_differs_in_one_class_or_one_value():
    known = ClassCondition(tuple("abcde"))
    own = known.vectors(torch.arange(5).repeat(400))
    others = known.others(own)
    assert not (others * own).any()
    assert others.sum(dim=1).eq(1).all()
    counts = (own.T @ others).flatten()
    assert counts[counts > 0].tolist() == pytest.approx([100] * 20, abs=40)
    known = make_condition((), ("hat", "size"), {"size": 3, "hat": 2})
    own = torch.tensor([[0.0, 0.5], [1.0, 1.0]]).repeat(400, 1)
    others = known.others(own)
    assert ((others != own).sum(dim=1) == 1).all()
    assert set(map(tuple, others.tolist())) == {
        *((1.0, 0.5), (0.0, 0.0), (0.0, 1.0)),
        *((0.0, 1.0), (1.0, 0.0), (1.0, 0.5)),
    }


@pytest.mark.parametrize("penalty", [R1R2(2.0), GradientPenalty(2.0)])
def test_a_penalty_is_of_the_gradient_under_each_image_s_condition(penalty):
    model = build(CGAN, SHAPE, latent_dim=3, architecture=SMALL, penalty=penalty)
    nn.init.normal_(model.discriminator.embed.weight)
    batch = batch_of(torch.rand(6, *SHAPE))
    torch.manual_seed(0)
    own = model.discriminator_terms(batch, 0).values["penalty"]
    torch.manual_seed(0)
    others = model.discriminator_terms(batch._replace(labels=(batch.labels + 1) % 10), 0)
    assert own.item() != others.values["penalty"].item()


def test_training_learns_which_class_is_bright():
    """Classes 0 and 1 are black and white images."""
    seed_everything(0)
    labels = torch.arange(64) % 2
    images = labels[:, None, None, None].float().expand(-1, 1, 8, 8) * 0.8 + 0.1
    batches = [Batch(images, labels, torch.zeros(64, 0, dtype=torch.long))] * 60
    model = CGAN(
        (1, 8, 8),
        ("black", "white"),
        latent_dim=2,
        architecture=DCGANNetworks((8,), norm_discriminator=False),
        objective=Relativistic(),
        penalty=R1R2(0.1),
        optimizer=partial(Adam, lr=0.01, betas=(0.0, 0.9)),
    )
    trainer_of().fit(model, torch.utils.data.DataLoader(batches, batch_size=None))
    model.eval()
    dark, bright = (model.sample(50, torch.full((50,), label)).mean() for label in (0, 1))
    assert dark < 0.3
    assert bright > 0.7


def test_samples_without_labels_follow_the_training_images():
    model = build(CGAN, SHAPE, latent_dim=3, architecture=SMALL)
    images = torch.rand(8, *SHAPE)
    batch = batch_of(images)._replace(labels=torch.tensor([0, 7] * 4))
    loader = torch.utils.data.DataLoader([batch], batch_size=None)
    trainer_of().fit(model, loader, loader_of(images, 4))
    drawn = model.sample_codes(100)[:, 3:]
    assert drawn.sum(dim=0).nonzero().flatten().tolist() == [0, 7]


def test_a_spectral_norm_is_of_the_features_and_comes_back(tmp_path):
    networks = DCGANNetworks((4, 8), norm_discriminator=False, spectral_norm=True)
    model = build(CGAN, SHAPE, latent_dim=3, architecture=networks, penalty=R1R2(1.0))
    trainer = trainer_of()
    trainer.fit(model, loader_of(torch.rand(16, *SHAPE)))
    trainer.save_checkpoint(tmp_path / "one.ckpt")
    again = CGAN.load_from_checkpoint(tmp_path / "one.ckpt", weights_only=True).eval()
    batch = batch_of(torch.rand(6, *SHAPE))
    vectors = model.condition.of(batch)
    score = model.eval().discriminator(batch.images, vectors)
    assert torch.equal(again.discriminator(batch.images, vectors), score)


def test_a_discriminator_that_ends_otherwise_is_refused():
    assert_refused("ends with nn.Linear", ProjectionDiscriminator, nn.Sequential(nn.ReLU()), 3)
    assert_refused("got Linear", ProjectionDiscriminator, nn.Linear(3, 1), 3)
    for end in (nn.Sigmoid(), nn.Flatten(0)):
        two = nn.Linear(3, 1 if isinstance(end, nn.Sigmoid) else 2)
        assert_refused("ends with nn.Linear", ProjectionDiscriminator, nn.Sequential(two, end), 3)


def test_an_average_of_the_weights_knows_the_conditions_that_were_seen(tmp_path):
    model = build(CGAN, SHAPE, latent_dim=3, architecture=SMALL)
    trainer = trainer_of(EMAWeightAveraging(decay=0.5))
    images = torch.rand(8, *SHAPE)
    batch = batch_of(images)._replace(labels=torch.tensor([3, 7] * 4))
    trainer.fit(model, torch.utils.data.DataLoader([batch] * 2, batch_size=None))
    trainer.save_checkpoint(tmp_path / "one.ckpt")
    loaded = CGAN.load_from_checkpoint(tmp_path / "one.ckpt", weights_only=True)
    assert loaded.sample_codes(100)[:, 3:].sum(dim=0).nonzero().flatten().tolist() == [3, 7]


@pytest.mark.parametrize("attributes", [(), ("hat", "hat")])
def test_attributes_are_named_once(attributes):
    match = "model.attributes names one factor or more, each once"
    assert_refused(match, make_condition, (), attributes, {"hat": 2})
