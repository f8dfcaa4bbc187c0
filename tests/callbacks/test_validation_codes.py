"""Pictures of the codes of the first validation images; tests/views has the views."""

import numpy as np
import pytest
import torch

from lightning_gen.callbacks import Arithmetic, Interpolation, LatentGrid, LatentScatter, Traversal
from lightning_gen.errors import UserError
from lightning_gen.figures.scatter import scatter
from lightning_gen.views import codes
from lightning_gen.views.arithmetic import arithmetic
from lightning_gen.views.codes import encode
from lightning_gen.views.dimensions import grid_axes, latent_grid, rank, traversal, typical
from lightning_gen.views.view import interpolation
from support.kinds import KINDS, fixed
from support.models import batch_of


@pytest.fixture
def drawn(monkeypatch):
    """The points, labels and title of each scatter that is drawn."""
    calls = []

    def record(points, labels, names, title, axes):
        calls.append((points, labels, title))
        return scatter(points, labels, names, title, axes)

    monkeypatch.setattr(codes, "scatter", record)
    return calls


@torch.no_grad()
def test_the_first_codes_of_the_validation_are_drawn(trainer, mini, first, drawn):
    model = KINDS["VAE"](latent_dim=2)
    trainer(LatentScatter(num_images=30)).fit(model, mini)
    [(points, labels, title)] = drawn
    images, classes = first(30)
    torch.testing.assert_close(points, model.eval().encode(images))
    assert torch.equal(labels, classes)
    assert title == "Codes of the first 30 of 40 validation images at step 2"


@torch.no_grad()
def test_the_test_after_a_training_is_drawn(trainer, mini, first, drawn, pictures):
    model = KINDS["VAE"](latent_dim=2)
    run = trainer(LatentScatter(num_images=20), limit_test_batches=2)
    run.fit(model, mini)
    run.test(model, mini, verbose=False)
    points, labels, title = drawn[1]
    images, classes = first(20, "test")
    torch.testing.assert_close(points, model.eval().encode(images))
    assert torch.equal(labels, classes)
    assert title == "Codes of the first 20 of 40 test images at step 2"
    assert list(pictures("latent_scatter_test")) == [2]


def test_a_test_of_two_images_is_drawn(trainer, mini, drawn, pictures):
    small = type(mini)(batch_size=2)
    run = trainer(LatentScatter(num_images=40), limit_test_batches=1, limit_val_batches=3)
    model = fixed("VAE")
    run.fit(model, small)
    run.test(model, small, verbose=False)
    assert list(pictures("latent_scatter_test")) == [2]


@torch.no_grad()
@pytest.mark.parametrize("terms", [None, ("Coat", "Shirt", "Bag")])
def test_mean_codes_of_classes_and_their_sum_are_decoded(terms, trainer, mini, first, pictures):
    model = fixed("AE")
    trainer(Arithmetic(terms, num_images=60), limit_val_batches=3).fit(model, mini)
    images, labels = first(60)
    codes = encode(model.eval(), batch_of(images))._replace(labels=labels)
    terms = terms or ("Pullover", "T-shirt/top", "Dress")
    view = arithmetic(model, codes, terms, mini.info.class_names, (), torch.device("cpu"))
    check(pictures("arithmetic")[2], view)


def test_an_unknown_name_is_refused_before_training(trainer, mini):
    model = fixed("AE")
    with pytest.raises(UserError, match=r"got 'coat'. Did you mean Coat"):
        trainer(Arithmetic(("Dress", "coat", "Bag"))).fit(model, mini)
    assert model.trainer.global_step == 0


def test_a_validation_without_some_class_warns_and_goes_on(trainer, mini, tmp_path):
    """Two images are of two classes at most."""
    model, callback = (
        fixed("AE"),
        Arithmetic(("Coat", "Dress", "Bag"), num_images=2, every_n_epochs=2),
    )
    words = r"Arithmetic draws nothing: there is no image of '.*' among 2\. Take more images"
    with pytest.warns(UserWarning, match=words) as caught:
        trainer(callback, max_epochs=2).fit(model, mini)
    assert len([w for w in caught if "draws nothing" in str(w.message)]) == 1
    assert model.trainer.global_step == 4
    assert not (tmp_path / "run" / "images").exists()


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
    classes = [mini.info.class_names[label] for label in labels]
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
