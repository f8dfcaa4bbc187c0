"""Interpolations, planes and traversals are views of the first codes; tests/views has the views."""

import numpy as np
import pytest
import torch

from lightning_gen.callbacks import Interpolation, LatentGrid, Traversal
from lightning_gen.errors import UserError
from lightning_gen.views import (
    encode,
    grid_axes,
    interpolation,
    latent_grid,
    rank,
    traversal,
    typical,
)
from support.kinds import KINDS, fixed
from support.models import batch_of, frozen


def check(found, view):
    """The picture is that of the view, up to rounding."""
    wanted = view.pixels("at step 2")
    assert found.shape == wanted.shape
    assert np.abs(found.astype(int) - wanted.astype(int)).max() <= 1


@torch.no_grad()
@pytest.mark.parametrize(("kind", "path"), [("AE", "linear"), ("VAE", "spherical")])
def test_pairs_of_the_first_validation_images_are_joined(
    kind, path, trainer, mini, first, pictures
):
    """24 images take more than one batch of 20."""
    model = fixed(kind)
    trainer(Interpolation(num_pairs=12, steps=3, path=path)).fit(model, mini)
    images, labels = first(24)
    start, end = model.eval().encode(images).chunk(2)
    classes = [mini.class_names[label] for label in labels]
    names = [f"{a} to {b}" for a, b in zip(classes[:12], classes[12:], strict=True)]
    view = interpolation(
        model, start, end, steps=3, path=path, names=names, originals=images.chunk(2)
    )
    title = f"Interpolation, {path}, between validation images"
    check(pictures("interpolation")[2], view._replace(title=title))


def test_a_model_without_an_encoder_is_shown_at_the_same_draws(trainer, mini, monkeypatch):
    codes = {"interpolation": [], "traversal": []}
    model = fixed("DCGAN")
    decode = model.decode

    def recorded(batch):
        if not model.training:
            codes["interpolation" if len(batch) == 6 else "traversal"].append(batch.clone())
        return decode(batch)

    monkeypatch.setattr(model, "decode", recorded)
    walks = Interpolation(2, 3, every_n_epochs=1), Traversal(4, 2, every_n_epochs=1)
    trainer(*walks, max_epochs=2).fit(model, mini)
    torch.manual_seed(0)
    start, end = torch.randn(4, 4).chunk(2)
    expected = torch.stack([start, (start + end) / 2, end], dim=1).flatten(0, 1)
    torch.testing.assert_close(codes["interpolation"], [expected, expected])
    once = [batch for batch in codes["traversal"] if len(batch) == 8]
    assert len(once) == 2
    assert torch.equal(*once)


@torch.no_grad()
def test_a_plane_is_drawn_at_quantiles_of_the_prior(trainer, mini, first, pictures):
    model = frozen(latent_dim=2)
    trainer(LatentGrid(steps=3)).fit(model, mini)
    axes = grid_axes(model.eval(), model.encode(first(40)[0]), 3)
    assert axes.meaning == "Plane of z0 (right) and z1 (up), at quantiles of the prior"
    check(pictures("latent_grid")[2], latent_grid(model, axes))


@torch.no_grad()
def test_chosen_dimensions_of_a_generator(trainer, mini, pictures):
    """The other ones are those of a draw of the prior that stays the same."""
    model = KINDS["DCGAN"]()
    trainer(LatentGrid(steps=3, dimensions=(3, 1))).fit(model, mini)
    torch.manual_seed(0)
    axes = grid_axes(model.eval(), model.sample_codes(1), 3, (3, 1))
    check(pictures("latent_grid")[2], latent_grid(model, axes))


@pytest.mark.parametrize(
    ("kind", "dimensions"), [("VAE", (0, 4)), ("CVAE", (0, 4)), ("DCGAN", (1, 1))]
)
def test_dimensions_that_the_model_lacks_are_refused_before_training(
    kind, dimensions, trainer, mini
):
    model = fixed(kind)
    with pytest.raises(UserError, match="two different latent dimensions from 0 to 3, got"):
        trainer(LatentGrid(dimensions=dimensions)).fit(model, mini)
    assert model.trainer.global_step == 0


@torch.no_grad()
def test_a_typical_image_is_changed_along_the_dimensions_of_most_kl(trainer, mini, first, pictures):
    model = fixed("VAE")
    trainer(Traversal(2, 3, 1.5, num_images=30)).fit(model, mini)
    codes = encode(model.eval(), batch_of(first(30)[0]))
    ranked = rank(model, codes, 2)
    view = traversal(model, typical(model, codes.codes), codes, ranked, steps=3, span=1.5)
    check(pictures("traversal")[2], view)
