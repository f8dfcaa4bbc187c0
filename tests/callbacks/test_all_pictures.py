"""What every picture and every measure promises, with every kind of model."""

from functools import partial

import pytest
import torch
from lightning.pytorch import Callback, seed_everything
from lightning.pytorch.loggers import CSVLogger

from lightning_gen.callbacks import (
    CodebookUse,
    CollapseMonitor,
    DenoisingQuality,
    Draw,
    FiniteLoss,
    LossCurves,
    RandomState,
    ReconstructionQuality,
    SampleDiversity,
)
from lightning_gen.contracts import able
from lightning_gen.errors import UserError
from lightning_gen.pictures import (
    Arithmetic,
    ConditionalSamples,
    Denoising,
    Interpolation,
    LatentGrid,
    LatentScatter,
    Reconstructions,
    Samples,
    Traversal,
)
from support.kinds import KINDS, fixed

TERMS = ("Coat", "Sneaker", "Bag")  # all among the first 40 images
PICTURES = [
    partial(Arithmetic, terms=TERMS, num_images=40),
    partial(ConditionalSamples, num_images=2),
    partial(Interpolation, num_pairs=2, steps=3),
    partial(LatentGrid, steps=3, num_images=30),
    partial(LatentScatter, num_images=30),
    Reconstructions,
    partial(Samples, num_images=9),
    partial(Traversal, num_dimensions=2, steps=3, num_images=30),
]
CHARTS = {
    "loss_curves": LossCurves,
    "codebook_use": CodebookUse,
    "collapse_monitor": partial(CollapseMonitor, num_images=30),
}
"""A small one of each."""


def drawings_for(kind, **options):
    """The callbacks that draw what a kind of model is able to give, and the names of it all."""
    model = fixed(kind)
    shown = [make(**options) for make in PICTURES]
    shown = [picture for picture in shown if able(model, picture.requires)]
    charts = {name: make(**options) for name, make in CHARTS.items()}
    charts = {name: chart for name, chart in charts.items() if able(model, chart.requires)}
    return [Draw(shown), *charts.values()], {*charts, *(picture.name for picture in shown)}


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
    callbacks, names = drawings_for(kind)
    every = {make.name for make in (part() for part in PICTURES)} | set(CHARTS)
    assert every - names == missing
    trainer(*callbacks).fit(fixed(kind), mini)
    for name in names:
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
        (Samples, "AE", "samples images"),
        (SampleDiversity, "AE", "samples images"),
        (ConditionalSamples, "AE", "is conditional"),
        (Denoising, "AE", "denoises"),
        (DenoisingQuality, "AE", "denoises"),
    ],
)
def test_a_model_that_lacks_what_is_shown_is_refused_before_training(
    make, kind, does, trainer, mini
):
    lacks = "is not" if does.startswith("is ") else "does not"
    words = f"{make.__name__} needs a model that {does}, and {kind} {lacks}"
    made = make()
    with pytest.raises(UserError, match=words):
        trainer(made if isinstance(made, Callback) else Draw(made)).fit(fixed(kind), mini)


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
        (Traversal, "span", 0.0, "above 0, at most 100 standard deviations, got 0"),
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
    drawn, state_after = train(*drawings_for(kind, every_n_epochs=1)[0], *measures)
    torch.testing.assert_close((bare, state), (drawn, state_after), rtol=0, atol=0)


def test_nothing_is_drawn_in_a_rehearsal(trainer, mini, tmp_path):
    callbacks = [*drawings_for("VAE", every_n_epochs=1)[0], SampleDiversity()]
    trainer(*callbacks, fast_dev_run=True).fit(fixed("VAE"), mini)
    assert not list(tmp_path.rglob("*.png"))


@pytest.mark.parametrize("kind", ["VAE", "VQVAE"])
def test_a_measure_of_an_epoch_without_validation_is_not_drawn(kind, trainer, mini, pictures):
    chart = (
        CollapseMonitor(30, every_n_epochs=1) if kind == "VAE" else CodebookUse(every_n_epochs=1)
    )
    trainer(chart, max_epochs=3, check_val_every_n_epoch=2).fit(fixed(kind), mini)
    assert list(pictures("collapse_monitor" if kind == "VAE" else "codebook_use")) == [4]
