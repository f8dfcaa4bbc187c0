import numpy as np
import pytest
import torch

from lightning_gen.callbacks import Interpolation
from lightning_gen.errors import UserError
from lightning_gen.figures import image_rows
from support.kinds import fixed


def first_of(mini, count):
    source, indices = mini._splits["val"]
    return source.images[indices[:count]].float() / 255, source.labels[indices[:count]]


@torch.no_grad()
def test_pairs_of_the_first_validation_images_are_joined(trainer, mini, pictures):
    """24 images take more than one batch of 20."""
    model = fixed("AE")
    trainer(Interpolation(num_pairs=12, steps=3)).fit(model, mini)
    images, labels = first_of(mini, 24)
    start, end = model.eval().encode(images).chunk(2)
    classes = [mini.class_names[label] for label in labels]
    rows = {}
    for number in range(12):
        name = twice = f"{classes[number]} to {classes[number + 12]}"
        if name in rows:
            twice = f"{name} {2 + sum(row.startswith(name + ' ') for row in rows)}"
        codes = torch.stack([start[number], (start[number] + end[number]) / 2, end[number]])
        ends = images[[number]], images[[number + 12]]
        rows[twice] = torch.cat([ends[0], model.decode(codes), ends[1]])
    title = "Interpolation, linear, between validation images at step 2"
    expected = image_rows(rows, title, ("image", "0", "0.5", "1", "image")).astype(int)
    found = pictures("interpolation")[2].astype(int)
    assert np.abs(found - expected).max() <= 1


def test_a_model_without_an_encoder_is_shown_between_the_same_draws(trainer, mini, monkeypatch):
    codes = []
    model = fixed("DCGAN")
    decode = model.decode

    def recorded(batch):
        if len(batch) == 6 and not model.training:
            codes.append(batch.clone())
        return decode(batch)

    monkeypatch.setattr(model, "decode", recorded)
    trainer(Interpolation(2, 3, every_n_epochs=1), max_epochs=2).fit(model, mini)
    torch.manual_seed(0)
    start, end = torch.randn(4, 4).chunk(2)
    expected = torch.stack([start, (start + end) / 2, end], dim=1).flatten(0, 1)
    torch.testing.assert_close(codes, [expected, expected])


def test_the_great_arc_is_drawn_and_named(trainer, mini, monkeypatch):
    titles = []
    draw = image_rows
    monkeypatch.setattr(
        "lightning_gen.views.view.image_rows",
        lambda rows, title, *rest: titles.append(title) or draw(rows, title, *rest),
    )
    trainer(Interpolation(2, 3, path="spherical")).fit(fixed("VAE"), mini)
    assert titles == ["Interpolation, spherical, between validation images at step 2"]


@pytest.mark.parametrize(
    ("arguments", "least"), [({"num_pairs": 0}, 1), ({"steps": 1}, 2), ({"every_n_epochs": 0}, 1)]
)
def test_bad_numbers(arguments, least):
    [[name, value]] = arguments.items()
    with pytest.raises(UserError, match=rf"Interpolation.{name} is at least {least}, got {value}"):
        Interpolation(**arguments)
