"""Conditions: labels as vectors, and networks that are told them."""

import pytest
import torch
from torch import nn

from lightning_gen.contracts import Batch
from lightning_gen.errors import UserError
from lightning_gen.networks.condition import AttributeCondition, ClassCondition, TrainingConditions
from lightning_gen.networks.conditional import ConditionalDecoder, ConditionalEncoder

FACTORS = {"shape": 3, "hat": 2, "constant": 1, "x": 5}
BATCH = Batch(
    torch.rand(3, 1, 4, 4),
    torch.tensor([2, 0, 1]),
    torch.tensor([[0, 1, 0, 4], [1, 0, 0, 1], [2, 1, 0, 2]]),
)
CLASSES = ClassCondition(("boot", "coat", "bag"))
ATTRIBUTES = AttributeCondition.named(("x", "hat", "constant"), FACTORS)


def test_classes_are_one_hot():
    expected = torch.tensor([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]])
    assert torch.equal(CLASSES.of(BATCH), expected)
    assert torch.equal(CLASSES.vectors(BATCH.labels), expected)


def test_attributes_are_factors_scaled_to_one():
    expected = torch.tensor([[1.0, 1, 0], [0.25, 0, 0], [0.5, 1, 0]])
    assert torch.equal(ATTRIBUTES.of(BATCH), expected)
    assert torch.equal(ATTRIBUTES.vectors(expected), expected)


def test_examples_have_the_vectors_that_their_names_promise():
    assert [*CLASSES.examples()] == ["boot", "coat", "bag"]
    labels = torch.stack([*CLASSES.examples().values()])
    assert torch.equal(CLASSES.vectors(labels), torch.eye(3))
    rows = ATTRIBUTES.examples()
    assert [*rows] == ["none", "x", "hat", "constant"]
    vectors = ATTRIBUTES.vectors(torch.stack([*rows.values()]))
    assert torch.equal(vectors, torch.cat([torch.zeros(1, 3), torch.eye(3)]))


def test_draws_are_rows_of_the_latest_training_images():
    """Values between 0 and 1, and which attributes go together, stay as the images have them."""
    conditions = TrainingConditions(torch.eye(2), capacity=6)
    assert {*map(tuple, conditions.draw(50, torch.device("cpu")).tolist())} == {(0, 1), (1, 0)}
    conditions.add(torch.tensor([[0.9, 0.9], [0.25, 0.25]]))
    for _ in range(2):
        conditions.add(torch.tensor([[0.25, 0.25], [0.25, 0.25], [0.75, 0.75]]))
    again = TrainingConditions(torch.eye(2), capacity=6)
    again.load_state_dict(conditions.state_dict())
    for kept in (conditions, again):
        drawn = kept.draw(3000, torch.device("cpu"))
        assert {*map(tuple, drawn.tolist())} == {(0.25, 0.25), (0.75, 0.75)}
        assert drawn.mean().item() == pytest.approx(0.25 + 0.5 / 3, abs=0.02)
    for kept in (conditions, again):  # more than is kept
        kept.add(torch.arange(16.0).view(8, 2))
        kept.add(torch.tensor([[20.0, 20.0]]))
        assert kept.rows[:, 0].tolist() == [6, 8, 10, 12, 14, 20]


@pytest.mark.parametrize(
    "labels", [torch.tensor([0, 3]), torch.tensor([-1]), torch.tensor([0.5]), torch.tensor([[1]])]
)
def test_labels_that_are_no_classes(labels):
    with pytest.raises(UserError, match=r"numbers from 0 to 2, one an image, got .*boot, coat"):
        CLASSES.vectors(labels)


@pytest.mark.parametrize("labels", [torch.zeros(3), torch.zeros(2, 4), torch.full((2, 3), 1.5)])
def test_labels_that_are_no_attributes(labels):
    with pytest.raises(UserError, match=r"3 numbers in \[0, 1\] .*\(x, hat, constant\), got"):
        ATTRIBUTES.vectors(labels)


def test_one_class_is_no_condition():
    with pytest.raises(UserError, match=r"at least 2 classes, .* has 1.*model.attributes"):
        ClassCondition(("image",))


def test_unknown_attribute():
    with pytest.raises(UserError, match=r"'hats'. Known: shape, hat, constant, x"):
        AttributeCondition.named(("hats",), FACTORS)


def test_the_encoder_sees_the_condition_as_planes():
    seen = []

    class Look(nn.Module):
        def forward(self, images):
            seen.append(images)
            return images.flatten(1)

    ConditionalEncoder(Look(), nn.Identity())(BATCH.images, CLASSES.of(BATCH))
    [images] = seen
    assert images.shape == (3, 4, 4, 4)
    assert torch.equal(images[:, :1], BATCH.images)
    assert torch.equal(images[:, 1:].amax((2, 3)), CLASSES.of(BATCH))
    assert torch.equal(images[:, 1:].amin((2, 3)), CLASSES.of(BATCH))


def test_the_decoder_is_given_the_embedding_behind_the_latent():
    embed = nn.Linear(3, 2, bias=False)
    codes = torch.cat([torch.rand(3, 5), CLASSES.of(BATCH)], dim=1)
    told = ConditionalDecoder(nn.Unflatten(1, (1, 1, 7)), embed, size=3)(codes).flatten(1)
    assert torch.equal(told[:, :5], codes[:, :5])
    assert torch.equal(told[:, 5:], embed.weight.T[BATCH.labels])
