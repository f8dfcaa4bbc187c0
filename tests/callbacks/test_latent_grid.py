import numpy as np
import pytest
import torch

from lightning_gen.callbacks import LatentGrid
from lightning_gen.errors import UserError
from lightning_gen.figures import image_rows
from lightning_gen.latent import normal_quantiles
from support.kinds import KINDS, fixed
from support.models import frozen

PRIOR = "Plane of z{} (right) and z{} (up), at quantiles of the prior at step 2"


def expected(model, codes, values, title):
    """The page of codes [3, 3, D], the highest row first."""
    with torch.no_grad():
        images = model.eval().decode(codes.flatten(0, 1)).view(3, 3, 1, 28, 28)
    labels = [f"{value:.2f}" for value in values.tolist()]
    rows = dict(zip(reversed(labels), images, strict=True))
    return image_rows(rows, title, labels, gap=0).astype(int)


def check(found, wanted):
    assert found.shape == wanted.shape
    assert np.abs(found.astype(int) - wanted).max() <= 1


def test_a_plane_is_drawn_at_quantiles_of_the_prior(trainer, mini, pictures):
    model = frozen(latent_dim=2)
    trainer(LatentGrid(steps=3)).fit(model, mini)
    values = normal_quantiles(3)
    codes = torch.stack([torch.stack([values, y.expand(3)], dim=1) for y in values.flip(0)])
    check(pictures("latent_grid")[2], expected(model, codes, values, PRIOR.format(0, 1)))


def test_chosen_dimensions_of_a_generator(trainer, mini, pictures):
    """The other ones are those of a draw of the prior that stays the same."""
    model = KINDS["DCGAN"]()
    trainer(LatentGrid(steps=3, dimensions=(3, 1))).fit(model, mini)
    values = normal_quantiles(3)
    torch.manual_seed(0)
    codes = model.sample_codes(1).repeat(3, 3, 1)
    codes[..., 3] = values
    codes[..., 1] = values.flip(0)[:, None]
    check(pictures("latent_grid")[2], expected(model, codes, values, PRIOR.format(3, 1)))


@pytest.mark.parametrize("dimensions", [(0, 4), (1, 1), (-1, 0)])
@pytest.mark.parametrize("kind", ["VAE", "CVAE", "DCGAN"])
def test_dimensions_that_the_model_lacks_are_refused_before_training(
    kind, dimensions, trainer, mini
):
    model = fixed(kind)
    with pytest.raises(UserError, match="two different latent dimensions from 0 to 3, got"):
        trainer(LatentGrid(dimensions=dimensions)).fit(model, mini)
    assert model.trainer.global_step == 0


@pytest.mark.parametrize(("argument", "least"), [("steps", 2), ("num_images", 2)])
def test_bad_numbers(argument, least):
    with pytest.raises(UserError, match=rf"LatentGrid.{argument} is at least {least}, got 1"):
        LatentGrid(**{argument: 1})
