"""Training on some classes, testing on all."""

import pytest
import torch

from lightning_gen.data import MiniFashionMNIST
from lightning_gen.errors import UserError


def labels(data, split):
    return torch.cat([batch.labels for batch in data.in_order(split)])


def loaded(**arguments):
    data = MiniFashionMNIST(**arguments)
    data.setup("fit")
    data.setup("test")
    return data


@pytest.mark.parametrize("binarize", [None, "static", "dynamic"])
def test_training_and_validation_see_the_named_classes_alone(binarize):
    data = loaded(train_classes=("Bag", "Trouser"), binarize=binarize)
    assert data.normal_classes == (8, 1)
    counts = [labels(data, split).bincount(minlength=10) for split in ("train", "val")]
    assert [n.item() for n in sum(counts)] == [0, 1000, 0, 0, 0, 0, 0, 0, 1000, 0]
    assert (counts[1][[1, 8]] > 0).all()
    assert labels(data, "test").unique().tolist() == list(range(10))


def test_by_default_all_classes_are_trained_on():
    data = loaded()
    assert data.normal_classes == ()
    assert labels(data, "train").unique().tolist() == list(range(10))


def test_a_class_that_is_none_is_refused():
    with pytest.raises(UserError, match=r"among T-shirt/top, Trouser, .*, got 'Boots'"):
        MiniFashionMNIST(train_classes=("Bag", "Boots"))
