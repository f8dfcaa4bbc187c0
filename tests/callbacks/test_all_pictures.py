"""What every picture and every measure promises, with every kind of model."""

import warnings
from functools import partial

import pytest
import torch
from lightning.pytorch import seed_everything
from lightning.pytorch.loggers import CSVLogger
from torch.utils.data import DataLoader

from lightning_gen.callbacks import (
    Arithmetic,
    CodebookUse,
    CollapseMonitor,
    ConditionalSamples,
    Denoising,
    FiniteLoss,
    Interpolation,
    LatentGrid,
    LatentScatter,
    LossCurves,
    RandomState,
    ReconstructionQuality,
    Reconstructions,
    SampleDiversity,
    Samples,
    Traversal,
    validation_codes,
)
from lightning_gen.callbacks.picture import require_for
from lightning_gen.contracts import Batch
from lightning_gen.errors import UserError
from support.kinds import KINDS, fixed

TERMS = ("Coat", "Sneaker", "Bag")  # all among the first 40 images
OF_CODES = {
    "latent_scatter": partial(LatentScatter, num_images=30),
    "latent_grid": partial(LatentGrid, steps=3, num_images=30),
    "traversal": partial(Traversal, 2, 3, num_images=30),
    "arithmetic": partial(Arithmetic, TERMS, num_images=40),
}
LATENT = OF_CODES | {"interpolation": partial(Interpolation, num_pairs=2, steps=3)}
PICTURES = LATENT | {
    "samples": partial(Samples, num_images=9),
    "conditional_samples": partial(ConditionalSamples, num_images=2),
    "reconstructions": Reconstructions,
    "loss_curves": LossCurves,
    "codebook_use": CodebookUse,
    "collapse_monitor": partial(CollapseMonitor, num_images=30),
}
"""A small one of each, by the name of its folder."""


def pictures_for(kind, among=PICTURES, **arguments):
    """Those that a kind of model is able to give."""
    model, found = fixed(kind), {}
    for name, make in among.items():
        try:
            require_for(make(), model)
        except UserError:
            continue
        found[name] = make(**arguments)
    return found


@pytest.mark.parametrize(
    ("kind", "missing"),
    [
        ("AE", {"samples", "conditional_samples", "codebook_use", "collapse_monitor"}),
        ("VAE", {"conditional_samples", "codebook_use"}),
        ("CVAE", {"codebook_use"}),
        ("VQVAE", {"conditional_samples", "collapse_monitor"}),
        (
            "DCGAN",
            {
                *("latent_scatter", "arithmetic", "reconstructions"),
                *("conditional_samples", "codebook_use", "collapse_monitor"),
            },
        ),
    ],
)
def test_each_model_gives_all_pictures_that_it_can(kind, missing, trainer, mini, pictures):
    callbacks = pictures_for(kind)
    assert set(PICTURES) - set(callbacks) == missing
    trainer(*callbacks.values()).fit(fixed(kind), mini)
    for name in callbacks:
        drawn = pictures(name)
        assert list(drawn) == [2], name
        assert drawn[2].std() > 1, f"{name} is blank"


@pytest.mark.parametrize(
    ("make", "kind", "does"),
    [
        (Arithmetic, "DCGAN", "encodes"),
        (LatentScatter, "DCGAN", "encodes"),
        (ReconstructionQuality, "DCGAN", "reconstructs"),
        (CodebookUse, "VAE", "quantizes"),
        (CollapseMonitor, "AE", "infers"),
        (Samples, "AE", "samples"),
        (SampleDiversity, "AE", "samples"),
        (ConditionalSamples, "AE", ".*"),
        (Denoising, "AE", "denoises"),
    ],
)
def test_a_model_that_lacks_what_is_shown_is_refused_before_training(
    make, kind, does, trainer, mini
):
    words = f"{make.__name__} needs a model that {does}, and {kind} does not"
    with pytest.raises(UserError, match=words):
        trainer(make()).fit(fixed(kind), mini)


@pytest.mark.parametrize(
    ("make", "argument", "value", "words"),
    [
        (Samples, "every_n_epochs", 0, "at least 1, got 0"),
        (Samples, "num_images", 0, "at least 1, got 0"),
        (Reconstructions, "num_images", -1, "at least 1, got -1"),
        (CollapseMonitor, "num_images", 1, "at least 2, got 1"),
        (ConditionalSamples, "max_rows", 0, "at least 1, got 0"),
        (Interpolation, "num_pairs", 0, "at least 1, got 0"),
        (Interpolation, "steps", 1, "at least 2, got 1"),
        (LatentGrid, "steps", 1, "at least 2, got 1"),
        (LatentGrid, "num_images", 1, "at least 2, got 1"),
        (Traversal, "num_dimensions", 0, "at least 1, got 0"),
        (Traversal, "steps", 1, "at least 2, got 1"),
        (Traversal, "span", 0.0, "above 0, got 0"),
        (SampleDiversity, "num_images", 1, "at least 2, got 1"),
        (ReconstructionQuality, "num_images", 1, "at least 2, got 1"),
    ],
)
def test_bad_numbers_are_refused(make, argument, value, words):
    with pytest.raises(UserError, match=f"{make.__name__}.{argument} is {words}"):
        make(**{argument: value})


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=[] if kind == "VAE" else pytest.mark.slow) for kind in KINDS]
)
def test_drawing_and_measuring_change_nothing_in_training(kind, trainer, mini, tmp_path):
    def train(*callbacks):
        seed_everything(0, verbose=False)
        model = KINDS[kind]()
        logger = CSVLogger(tmp_path, name=str(len(callbacks)))
        trainer(RandomState(), *callbacks, max_epochs=2, logger=logger).fit(model, mini)
        return model.state_dict(), torch.rand(3)

    measures = [FiniteLoss(), SampleDiversity(10)][: 1 + (kind != "AE")]
    bare, state = train()
    drawn, state_after = train(*pictures_for(kind, every_n_epochs=1).values(), *measures)
    torch.testing.assert_close((bare, state), (drawn, state_after), rtol=0, atol=0)


def test_every_nth_epoch_and_the_last_are_drawn_and_encoded(trainer, mini, pictures, monkeypatch):
    epochs = []

    def recorded(model, batch):
        epochs.append(model.current_epoch)
        return encode(model, batch)

    encode = validation_codes.encode
    monkeypatch.setattr(validation_codes, "encode", recorded)
    callbacks = pictures_for("VAE", every_n_epochs=2)
    trainer(*callbacks.values(), max_epochs=3).fit(fixed("VAE"), mini)
    for name in callbacks:
        assert list(pictures(name)) == [4, 6], name
    batches = 2 * len(OF_CODES)  # of 20, for 30 or 40 images each
    assert epochs == [1] * batches + [2] * batches


def test_nothing_is_drawn_or_encoded_in_a_rehearsal(trainer, mini, tmp_path, monkeypatch):
    def refuse(model, batch):
        raise AssertionError

    monkeypatch.setattr(validation_codes, "encode", refuse)
    callbacks = [*pictures_for("VAE", every_n_epochs=1).values(), SampleDiversity()]
    trainer(*callbacks, fast_dev_run=True).fit(fixed("VAE"), mini)
    assert not list(tmp_path.rglob("*.png"))
    check = {"num_sanity_val_steps": 2, "check_val_every_n_epoch": 9, "max_steps": 1}
    trainer(*pictures_for("VAE", OF_CODES).values(), **check).fit(fixed("VAE"), mini)
    assert not list(tmp_path.rglob("*.png"))


@pytest.mark.parametrize("kind", ["VAE", "VQVAE"])
def test_an_epoch_without_validation_is_not_drawn(kind, trainer, mini, pictures):
    measured = ("codebook_use", "collapse_monitor")
    callbacks = pictures_for(kind, OF_CODES | {n: PICTURES[n] for n in measured}, every_n_epochs=1)
    trainer(*callbacks.values(), max_epochs=3, check_val_every_n_epoch=2).fit(fixed(kind), mini)
    assert len(callbacks) == 5
    for name in callbacks:
        assert list(pictures(name)) == [4], name


def test_codes_of_an_earlier_fit_are_forgotten(trainer, mini, tmp_path):
    callbacks = pictures_for("VAE", OF_CODES, every_n_epochs=1).values()
    trainer(*callbacks, logger=False).fit(fixed("VAE"), mini)
    trainer(*callbacks, limit_val_batches=0).fit(fixed("VAE"), mini)
    assert not (tmp_path / "run" / "images").exists()


@pytest.mark.parametrize("name", ["latent_scatter", "latent_grid"])
def test_codes_that_are_no_numbers_end_no_training(name, trainer, mini):
    """It is FiniteLoss that says what to do."""
    model = fixed("AE")
    encode = model.encode
    model.encode = lambda images: encode(images) * torch.nan
    with pytest.warns(UserWarning, match="draws nothing: .* codes are NaN or infinite"):
        trainer(PICTURES[name]()).fit(model, mini)
    assert model.trainer.global_step == 2


def test_a_single_validation_image_ends_no_training(trainer, mini):
    class OneImage(type(mini)):
        def val_dataloader(self):
            batch = next(iter(super().val_dataloader()))
            return DataLoader([Batch(*batch).first(1)], batch_size=None)

    # Arithmetic, not told its terms, has none of a single class.
    callbacks = pictures_for("AE", LATENT | {"arithmetic": Arithmetic}).values()
    model = fixed("AE")
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        trainer(*callbacks).fit(model, OneImage(batch_size=20))
    silent = [str(w.message).split()[0] for w in seen if "draws nothing" in str(w.message)]
    assert silent == ["Interpolation"]
    assert model.trainer.global_step == 2
