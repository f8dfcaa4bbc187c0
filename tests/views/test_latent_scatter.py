from importlib import import_module

import pytest
import torch

from lightning_gen.figures import scatter
from lightning_gen.latent import PCA
from lightning_gen.views import encode, latent_scatter, without_condition
from support.linear import Linear, WithPrior, batch_of


@pytest.fixture
def drawn(monkeypatch):
    """The arguments of each scatter that is drawn."""
    calls = []

    def record(*arguments):
        calls.append(arguments)
        return scatter(*arguments)

    module = import_module("lightning_gen.views.latent_scatter")  # the function has its name
    monkeypatch.setattr(module, "scatter", record)
    return calls


@pytest.mark.parametrize(
    ("total", "words"), [(6, "Codes of 6 images"), (4000, "Codes of the first 6 of 4,000 images")]
)
def test_the_title_says_how_many_of_the_images_are_shown(drawn, total, words):
    codes = encode(Linear(), batch_of([0, 1] * 3))
    latent_scatter(codes, ("a", "b"), PCA(), "images", total=total)
    [(points, labels, names, title, axes)] = drawn
    assert title == words
    assert torch.equal(points, codes.codes)
    assert torch.equal(labels, codes.labels)
    assert (names, axes) == (("a", "b"), ("z0", "z1"))


def test_the_condition_of_a_code_is_left_out():
    model = WithPrior(5, latent_dim=2)
    codes = encode(model, batch_of([0, 1] * 3))
    free = without_condition(model, codes)
    assert torch.equal(free.codes, codes.codes[:, :2])
    assert free[1:] == codes[1:]
