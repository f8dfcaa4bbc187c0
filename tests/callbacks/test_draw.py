import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.trainer.states import RunningStage
from matplotlib.figure import Figure
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from lightning_gen.callbacks import Draw, draw
from lightning_gen.contracts import Batch
from lightning_gen.data import MiniFashionMNIST
from lightning_gen.figures.style import to_array
from lightning_gen.models import AE
from lightning_gen.networks import Masking
from lightning_gen.pictures import (
    Arithmetic,
    Denoising,
    Interpolation,
    LatentGrid,
    LatentScatter,
    Names,
    Reconstructions,
    Samples,
    Seen,
    Traversal,
)
from lightning_gen.pictures.codes import codes_of
from support.kinds import KINDS, fixed
from support.models import frozen
from support.refusals import assert_refused


@torch.no_grad()
def expected(model, picture, batch, what, complete=False, step=2):
    """The picture of a batch of images, drawn by hand."""
    names = Names(MiniFashionMNIST.info.class_names)
    model.eval()
    codes = codes_of(model, batch) if picture.of_codes else None
    batch = None if picture.of_codes else batch
    when = f"at step {step}"
    torch.manual_seed(0)
    drawn = picture.draw(model, Seen(f"{what} images", batch, codes, names, (), complete, when))
    return to_array(drawn) if isinstance(drawn, Figure) else drawn.pixels(when)


@pytest.mark.parametrize(
    ("kind", "picture", "name"),
    [
        ("AE", Reconstructions(num_images=25), "reconstructions"),
        ("VAE", LatentScatter(num_images=30), "latent_scatter"),
        ("VAE", Interpolation(num_pairs=12, steps=3, path="spherical"), "interpolation"),
        ("VAE", Traversal(num_images=30, num_dimensions=2, steps=3), "traversal"),
        ("CVAE", LatentGrid(num_images=30, steps=3), "latent_grid"),
        ("AE", Arithmetic(num_images=60), "arithmetic"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_first_validation_images_are_drawn(kind, picture, name, trainer, mini, first, pictures):
    """Of more than one batch of 20."""
    model = fixed(kind)
    trainer(Draw(picture), limit_val_batches=4).fit(model, mini)
    batch = first(picture.looks_at)
    found, wanted = pictures(name)[2], expected(model, picture, batch, "validation")
    assert found.shape == wanted.shape
    assert np.abs(found.astype(int) - wanted).max() <= 1, "rounding of other sizes of a batch"


def test_a_denoised_picture_has_the_same_damage_each_time(trainer, mini, first, pictures):
    model, picture = frozen(AE, corruption=Masking(0.5)), Denoising(num_images=5)
    trainer(Draw(picture), max_epochs=2).fit(model, mini)
    for step, found in pictures("denoising").items():
        wanted = expected(model, picture, first(5), "validation", step=step)
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.filterwarnings("ignore:Total length of `list` across ranks is zero")
def test_without_validation_the_images_come_from_training(trainer, pictures, tmp_path):
    model, data = frozen(AE), MiniFashionMNIST(batch_size=20, val_fraction=0.0)
    picture = Reconstructions(num_images=5)
    trainer(Draw([picture, LatentScatter()]), max_epochs=2).fit(model, data)
    batch = data.on_after_batch_transfer(next(iter(data.train_dataloader())), 0).first(5)
    found = pictures("reconstructions")
    for step in (2, 4):
        wanted = expected(model, picture, batch, "training", step=step)
        np.testing.assert_array_equal(found[step], wanted)
    assert not (tmp_path / "run" / "images" / "latent_scatter").exists(), "no codes are drawn"


def test_images_of_an_earlier_fit_are_forgotten(trainer, mini, pictures):
    callback, model = Draw([Reconstructions(num_images=5), LatentScatter()]), frozen(AE)
    trainer(callback, logger=False).fit(model, mini)
    trainer(callback, limit_val_batches=0).fit(model, mini)
    batch = mini.on_after_batch_transfer(next(iter(mini.train_dataloader())), 0).first(5)
    wanted = expected(model, Reconstructions(), batch, "training")
    np.testing.assert_array_equal(pictures("reconstructions")[2], wanted)


def test_each_picture_has_epochs_of_its_own(trainer, mini, pictures, monkeypatch):
    """The codes are computed once for all pictures of an epoch."""
    encoded = []

    def recorded(model, batch):
        assert model.trainer.state.stage == RunningStage.VALIDATING, "no image is augmented"
        encoded.append((model.current_epoch, len(batch.images)))
        return codes_of(model, batch)

    monkeypatch.setattr(draw, "codes_of", recorded)
    twice = [Reconstructions(every_n_epochs=2), LatentScatter(num_images=10, every_n_epochs=2)]
    callback = Draw([Samples(num_images=4), *twice, Traversal(num_images=30, steps=2)])
    trainer(callback, max_epochs=3).fit(fixed("VAE"), mini)
    assert [*pictures("samples")] == [2, 4, 6]
    assert [*pictures("reconstructions")] == [*pictures("latent_scatter")] == [4, 6]
    assert [*pictures("traversal")] == [6], "the end of training"
    assert encoded == [(1, 20), (1, 10), (3, 20), (3, 10)]


def test_two_pictures_of_a_name_are_refused():
    twice = [Samples(), Samples(num_images=5)]
    assert_refused("of different kinds, got samples, samples", Draw, twice)


@torch.no_grad()
def test_the_test_after_a_training_is_drawn(trainer, mini, first, pictures):
    """It is laid out along the axes of the last picture of the validation."""
    model, picture = KINDS["VAE"](), LatentScatter(num_images=20)
    run = trainer(Draw(picture), limit_test_batches=2)
    run.fit(model, mini)
    run.test(model, mini, verbose=False)
    codes, like = (codes_of(model.eval(), first(20, split)) for split in ("test", "val"))
    seen = Seen("test images", None, codes, Names(mini.info.class_names), (), False, "at step 2")
    for axes, equal in ((like.codes, True), (None, False)):
        wanted = to_array(picture.draw(model, replace(seen, like=axes)))
        found = pictures("latent_scatter_test")[2]
        assert (found.shape == wanted.shape and (found == wanted).all()) == equal


def test_a_test_of_two_images_is_drawn(trainer, mini, pictures):
    small = type(mini)(batch_size=2)
    run = trainer(Draw(LatentScatter()), limit_test_batches=1, limit_val_batches=3)
    model = fixed("VAE")
    run.fit(model, small)
    run.test(model, small, verbose=False)
    assert list(pictures("latent_scatter_test")) == [2]


def test_an_unknown_name_is_refused_before_training(trainer, mini):
    model, callback = fixed("AE"), Draw(Arithmetic(terms=("Dress", "coat", "Bag")))
    assert_refused("got 'coat'. Did you mean Coat", trainer(callback).fit, model, mini)
    assert model.trainer.global_step == 0


def test_a_validation_without_some_class_warns_and_goes_on(trainer, mini, tmp_path):
    """Two images are of two classes at most."""
    model = fixed("AE")
    callback = Draw(Arithmetic(terms=("Coat", "Dress", "Bag"), num_images=2, every_n_epochs=2))
    words = r"arithmetic draws nothing: there is no image of '.*' among 2\. Take more images"
    with pytest.warns(UserWarning, match=words) as caught:
        trainer(callback, max_epochs=2).fit(model, mini)
    assert len([w for w in caught if "draws nothing" in str(w.message)]) == 1
    assert model.trainer.global_step == 4
    assert not (tmp_path / "run" / "images").exists()


@pytest.mark.parametrize("picture", [LatentScatter(), LatentGrid()])
def test_codes_that_are_no_numbers_end_no_training(picture, trainer, mini):
    """It is FiniteLoss that says what to do."""
    model = fixed("AE")
    codes_of = model.encode
    model.encode = lambda images: codes_of(images) * torch.nan
    with pytest.warns(UserWarning, match="draws nothing: .* codes are NaN or infinite"):
        trainer(Draw(picture)).fit(model, mini)
    assert model.trainer.global_step == 2


def test_a_single_validation_image_ends_no_training(trainer, mini):
    class OneImage(type(mini)):
        def val_dataloader(self):
            batch = next(iter(super().val_dataloader()))
            return DataLoader([Batch(*batch).first(1)], batch_size=None)

    latent = [LatentScatter(), LatentGrid(steps=3), Traversal(), Arithmetic(), Interpolation()]
    model = fixed("AE")
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        trainer(Draw(latent)).fit(model, OneImage(batch_size=20))
    silent = [str(w.message).split()[0] for w in seen if "draws nothing" in str(w.message)]
    assert silent == ["interpolation"]
    assert model.trainer.global_step == 2


class Plain(LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)

    def reconstruct(self, images):
        return 0.5 * images

    def training_step(self, batch, batch_idx):
        return self.layer.weight.sum()

    def validation_step(self, batch, batch_idx):
        pass

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


class Stream(IterableDataset):
    def __iter__(self):
        while True:
            yield torch.rand(1, 6, 6), 0


LISTED = TensorDataset(torch.rand(8, 1, 6, 6), torch.arange(8))


@pytest.mark.filterwarnings("ignore:Your `IterableDataset`")
@pytest.mark.parametrize(
    ("images", "validated"), [(LISTED, True), (LISTED, False), (Stream(), True)]
)
def test_another_s_model_on_plain_loaders_with_and_without_a_length(
    images, validated, trainer, pictures
):
    loaders = DataLoader(images, 4), DataLoader(images, 4) if validated else None
    trainer(Draw(Reconstructions())).fit(Plain(), *loaders)
    assert list(pictures("reconstructions")) == [2]


def test_what_a_killed_run_left_out_is_drawn(trainer, mini, pictures, tmp_path):
    model = frozen(AE, corruption=Masking(0.5))
    run = trainer(logger=False)
    run.fit(model, mini)
    run.save_checkpoint(tmp_path / "x.ckpt")
    callback = Draw([Denoising(num_images=5), LatentScatter()])
    trainer(callback).fit(model, mini, ckpt_path=tmp_path / "x.ckpt")
    assert list(pictures("denoising")) == list(pictures("latent_scatter")) == [2]
