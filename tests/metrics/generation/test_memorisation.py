"""Whether samples are copies of training images."""

import pytest
import torch
from sklearn.metrics import roc_auc_score

from lightning_gen.errors import UserError
from lightning_gen.metrics.generation import Memorisation, balls, nearest_training_images


def scored(train, held_out, generated):
    metric = Memorisation()
    metric.update(nearest_training_images(held_out, train).distance, real=True)
    for part in generated.split(37):
        metric.update(nearest_training_images(part, train).distance, real=False)
    return metric.compute()


def drawn(n, seed):
    return torch.randn(n, 6, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("block", [2**20, 900])
def test_the_nearest_is_that_of_a_plain_search(block, monkeypatch):
    monkeypatch.setattr(balls, "BLOCK", block)
    train, new = drawn(300, 0), drawn(80, 1)
    found = nearest_training_images(new, train)
    distances = torch.cdist(new.double(), train.double())
    assert torch.equal(found.which, distances.argmin(dim=1))
    torch.testing.assert_close(found.distance, distances.min(dim=1).values.square())


def test_it_is_the_area_under_the_curve_of_nearness():
    train, held_out, generated = drawn(200, 0), drawn(150, 1), 0.8 * drawn(90, 2)
    near = [nearest_training_images(part, train).distance for part in (held_out, generated)]
    area = roc_auc_score(torch.tensor([0] * 150 + [1] * 90), -torch.cat(near))
    assert scored(train, held_out, generated).value.item() == pytest.approx(area)


def test_copies_are_seen_and_noise_is_far():
    train, held_out = drawn(400, 0), drawn(300, 1)
    assert scored(train, held_out, train[:100]).value == 1
    assert scored(train, held_out, 5 * drawn(300, 3)).value < 0.05
    same = scored(train, train[:50], train[50:120])  # all at distance 0
    assert same.value == 0.5
    assert same.standard_error == 0


@pytest.mark.slow
def test_an_honest_model_is_within_two_standard_errors_as_often_as_they_say():
    train = drawn(500, 0)
    scores = [scored(train, drawn(200, 2 * n + 1), drawn(150, 2 * n + 2)) for n in range(300)]
    within = sum((value - 0.5).abs() < 1.96 * error for value, error in scores)
    assert 0.92 <= within / 300 <= 0.98


def test_one_image_is_none():
    with pytest.raises(UserError, match="needs 2 or more"):
        scored(drawn(20, 0), drawn(1, 1), drawn(5, 2))
