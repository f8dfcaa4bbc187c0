import inspect

import pytest
import torch
from jaxtyping import TypeCheckError
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader, TensorDataset
from typing_extensions import get_protocol_members, is_protocol

from lightning_gen import contracts
from lightning_gen.contracts import Batch, Decodes, Encodes, SamplesCodes, able, as_batch, require
from lightning_gen.models import VAE
from lightning_gen.networks import Dense
from lightning_gen.objectives import Bernoulli
from lightning_gen.runs.inputs import SplitInputs
from support.finished import run_of
from support.models import KINDS, build, trainer_of
from support.refusals import assert_refused

CAPABILITIES = [each for each in vars(contracts).values() if is_protocol(each)]


class Encoder:
    def encode(self, images):
        return images.flatten(1)


def test_annotations_are_checked_while_the_tests_run():
    with pytest.raises(TypeCheckError):
        Bernoulli().log_prob(torch.zeros(2, 1, 4, 4), torch.zeros(2, 16))


def test_what_is_required_names_the_asker_the_model_and_the_remedy():
    capable, incapable = (Encodes, Encodes | Decodes), (Encodes, Decodes | SamplesCodes)
    assert able(Encoder(), capable)
    require(Encoder(), capable, "LatentScatter", "")
    message = (
        "LatentScatter needs a model that decodes or samples codes, and Encoder does not. Go home."
    )
    assert not able(Encoder(), incapable)
    assert_refused(message, require, Encoder(), incapable, "LatentScatter", "Go home.")


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_model_is_able_to_do_is_seen_without_asking_it(kind):
    """As Python 3.12's isinstance looks, which finds no submodules and asks no __getattr__."""
    model = build(kind)
    assert len(CAPABILITIES) > 10
    for capability in CAPABILITIES:
        members = get_protocol_members(capability)
        static = [inspect.getattr_static(model, member, None) for member in members]
        seen = all(each is not None for each in static)
        asked = [getattr(model, member, None) is not None for member in members]
        assert seen == all(asked), capability
        assert seen == isinstance(model, capability)


IMAGES = torch.arange(4 * 8 * 8, dtype=torch.uint8).view(4, 1, 8, 8)
LABELS = torch.tensor([3, 1, 0, 2])


def test_a_batch_is_left_alone():
    batch = Batch(IMAGES, LABELS, torch.empty(4, 0))
    assert as_batch(batch) is batch


@pytest.mark.parametrize("images", [IMAGES, IMAGES / 255, (IMAGES / 255).double()])
def test_images_alone_or_with_labels_or_factors(images):
    factors = torch.rand(4, 3)
    for given in (images, [images], (images, LABELS), [images, LABELS.int()], (images, factors)):
        batch = as_batch(given)
        assert batch.images.dtype == torch.float32
        assert torch.allclose(batch.images, IMAGES / 255)
        assert batch.labels.dtype == torch.int64
        second = given[1] if len(given) == 2 else None
        labelled = second is not None and second is not factors
        assert batch.labels.tolist() == (LABELS.tolist() if labelled else [0] * 4)
        assert torch.equal(batch.factors, factors if second is factors else torch.empty(4, 0))


@pytest.mark.parametrize(
    ("given", "got"),
    [
        ({"image": IMAGES}, "got dict"),
        ((IMAGES, ["a"] * 4), "got tuple"),
        (IMAGES[0], r"got shapes \[\(1, 8, 8\)\]"),
        ((LABELS, IMAGES), r"got shapes \[\(4,\), \(4, 1, 8, 8\)\]"),
        ([], "got shapes"),
    ],
)
def test_what_is_no_batch_of_images_is_refused(given, got):
    assert_refused(got, as_batch, given)


class Plain(LightningDataModule):
    """What people have: no base, no Batch."""

    def train_dataloader(self):
        return DataLoader(TensorDataset(IMAGES, LABELS), 2)

    val_dataloader = test_dataloader = train_dataloader


@pytest.mark.parametrize("data", [Plain(), DataLoader(TensorDataset(IMAGES), 2)])
def test_a_model_trains_on_them(data):
    trainer = trainer_of()
    trainer.fit(VAE((1, 8, 8), 2, Dense((8,))), data)
    assert trainer.global_step == 2


def test_a_split_of_them_has_names():
    split = SplitInputs(run_of(VAE((1, 8, 8), 2, Dense((8,))), data=Plain()), "test")
    [(first, names), _] = split
    assert torch.allclose(first.images, IMAGES[:2] / 255)
    assert names == ["test/00000", "test/00001"]
    assert len(split) == 4
