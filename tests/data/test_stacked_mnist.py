import pytest
import torch

from lightning_gen.data import MNIST, StackedMNIST
from lightning_gen.data.loader import TensorSource
from support.refusals import assert_refused

COUNTS = {"train": 200, "test": 50}


@pytest.fixture(autouse=True)
def grey_digits(monkeypatch):
    """Each digit is one grey level, which no other one has, and its last figure is the label."""

    def load(_, split):
        levels = torch.arange(COUNTS[split]) + (200 if split == "test" else 0)
        images = levels[:, None, None, None].byte().expand(-1, 1, 28, 28).clone()
        return TensorSource.of(images, levels % 10)

    monkeypatch.setattr(MNIST, "load", load)
    monkeypatch.setattr(MNIST, "prepare_data", lambda _: None)


def levels_of(data, split):
    """The grey level of each digit of each image, and the labels, after a look at all pixels."""
    batch = data.splits[split][torch.arange(len(data.splits[split]))]
    digits = batch.images.split(28, dim=3) if data.image_shape[0] == 1 else batch.images.split(1, 1)
    assert all((digit == digit[:, :, :1, :1]).all() for digit in digits)
    return torch.stack([digit[:, 0, 0, 0] for digit in digits], dim=1).long(), batch.labels


@pytest.mark.parametrize(("digits", "shape"), [(2, (1, 28, 56)), (3, (3, 28, 28))])
def test_the_class_is_what_the_digits_write(digits, shape):
    data = StackedMNIST(digits, num_images=2000, val_fraction=0.2)
    data.setup("fit")
    data.setup("test")
    assert data.image_shape == shape
    assert [len(data.splits[split]) for split in ("train", "val", "test")] == [1600, 400, 50]
    used = {}
    for split in data.splits:
        levels, labels = levels_of(data, split)
        written = ["".join(str(int(level) % 10) for level in row) for row in levels]
        assert [data.info.class_names[label] for label in labels] == written
        used[split] = {*levels.flatten().tolist()}
    assert len(used["train"] | used["val"]) == 200 == len(used["train"]) + len(used["val"])
    assert min(used["test"]) >= 200


def test_every_run_has_the_same_images():
    first, again, other = StackedMNIST(), StackedMNIST(), StackedMNIST(num_images=600)
    assert torch.equal(first.load("train").images, again.load("train").images)
    assert len(first.load("train")) == 54_000
    assert torch.equal(first.load("test").labels, other.load("test").labels)
    assert not torch.equal(first.load("train").labels[:60], first.load("val").labels[:60])


def test_without_validation_all_digits_are_trained_on():
    data = StackedMNIST(num_images=2000, val_fraction=0.0)
    data.setup("fit")
    assert data.splits.keys() == {"train"}
    assert len(levels_of(data, "train")[0].unique()) == 200


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"digits": 4}, r"^data\.digits is 2 or 3, got 4"),
        ({"num_images": 1}, r"^data\.num_images is at least 2, got 1"),
        ({"train_classes": ("7",)}, r"among 000, 001, 002, \.\.\., 999, got '7'"),
        ({"mirror": True}, r"^data\.mirror is off for StackedMNIST"),
    ],
)
def test_what_cannot_be_is_refused(arguments, match):
    assert_refused(match, StackedMNIST, **arguments)
