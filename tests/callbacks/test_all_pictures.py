from functools import partial

import pytest
import torch
from lightning.pytorch import Callback, seed_everything
from lightning.pytorch.loggers import CSVLogger

import lightning_gen as lg
from lightning_gen.contracts import able
from support.kinds import KINDS, fixed
from support.refusals import assert_refused

TERMS = ("Coat", "Sneaker", "Bag")  # all among the first 40 images
PICTURES = [
    partial(lg.pictures.Arithmetic, terms=TERMS, num_images=40),
    partial(lg.pictures.ConditionalSamples, num_images=2),
    partial(lg.pictures.Interpolation, num_pairs=2, steps=3),
    partial(lg.pictures.LatentGrid, steps=3, num_images=30),
    partial(lg.pictures.LatentScatter, num_images=30),
    lg.pictures.Reconstructions,
    partial(lg.pictures.Samples, num_images=9),
    partial(lg.pictures.Traversal, num_dimensions=2, steps=3, num_images=30),
]
CHARTS = {
    "loss_curves": lg.callbacks.LossCurves,
    "codebook_use": lg.callbacks.CodebookUse,
    "collapse_monitor": partial(lg.callbacks.CollapseMonitor, num_images=30),
}
"""A small one of each."""


def drawings_for(kind, **options):
    """The callbacks that draw what a kind of model is able to give, and the names of it all."""
    model = fixed(kind)
    shown = [make(**options) for make in PICTURES]
    shown = [picture for picture in shown if able(model, picture.requires)]
    charts = {name: make(**options) for name, make in CHARTS.items()}
    charts = {name: chart for name, chart in charts.items() if able(model, chart.requires)}
    names = {*charts, *(picture.name for picture in shown)}
    return [lg.callbacks.Draw(shown), *charts.values()], names


@pytest.mark.parametrize(
    ("kind", "missing"),
    [
        ("AE", {"samples", "conditional_samples", "codebook_use", "collapse_monitor"}),
        ("VAE", {"conditional_samples", "codebook_use"}),
        ("CVAE", {"codebook_use"}),
        ("VQVAE", {"conditional_samples", "collapse_monitor"}),
        (
            "DCGAN",
            {"latent_scatter", "arithmetic", "reconstructions", "conditional_samples"}
            | {"codebook_use", "collapse_monitor"},
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
        (lg.pictures.Arithmetic, "DCGAN", "encodes"),
        (lg.pictures.LatentScatter, "DCGAN", "encodes"),
        (lg.callbacks.ReconstructionQuality, "DCGAN", "reconstructs"),
        (lg.callbacks.CodebookUse, "VAE", "quantizes"),
        (lg.callbacks.CollapseMonitor, "AE", "infers"),
        (lg.pictures.Samples, "AE", "samples images"),
        (lg.callbacks.SampleDiversity, "AE", "samples images"),
        (lg.pictures.ConditionalSamples, "AE", "is conditional"),
        (lg.pictures.Denoising, "AE", "denoises"),
        (lg.callbacks.DenoisingQuality, "AE", "denoises"),
    ],
)
def test_a_model_that_lacks_what_is_shown_is_refused_before_training(
    make, kind, does, trainer, mini
):
    lacks = "is not" if does.startswith("is ") else "does not"
    words = f"{make.__name__} needs a model that {does}, and {kind} {lacks}"
    callback = make() if issubclass(make, Callback) else lg.callbacks.Draw(make())
    assert_refused(words, trainer(callback).fit, fixed(kind), mini)


@pytest.mark.parametrize(
    ("make", "argument", "least"),
    [
        *((lg.pictures.Samples, name, 1) for name in ("every_n_epochs", "num_images")),
        (lg.pictures.Reconstructions, "num_images", 1),
        (lg.callbacks.CollapseMonitor, "num_images", 2),
        (lg.pictures.ConditionalSamples, "max_rows", 1),
        *((lg.pictures.Interpolation, *most) for most in (("num_pairs", 1), ("steps", 2))),
        *((lg.pictures.LatentGrid, name, 2) for name in ("steps", "num_images")),
        *((lg.pictures.Traversal, *most) for most in (("num_dimensions", 1), ("steps", 2))),
        (lg.callbacks.SampleDiversity, "num_images", 2),
        (lg.callbacks.ReconstructionQuality, "num_images", 2),
    ],
)
def test_bad_numbers_are_refused(make, argument, least):
    for value in (least - 1, -1):
        words = f"{make.__name__}.{argument} is at least {least}, got {value}"
        assert_refused(words, make, **{argument: value})


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=[] if kind == "VAE" else pytest.mark.slow) for kind in KINDS]
)
def test_drawing_and_measuring_change_nothing_in_training(kind, trainer, mini, tmp_path):
    def train(*callbacks):
        seed_everything(0, verbose=False)
        model = KINDS[kind]()
        logger = CSVLogger(tmp_path, name=str(len(callbacks)))
        trainer(lg.callbacks.RandomState(), *callbacks, max_epochs=2, logger=logger).fit(
            model, mini
        )
        return model.state_dict(), torch.rand(3)

    measures = [lg.callbacks.FiniteLoss(), lg.callbacks.SampleDiversity(10)][: 1 + (kind != "AE")]
    bare, state = train()
    drawn, state_after = train(*drawings_for(kind, every_n_epochs=1)[0], *measures)
    torch.testing.assert_close((bare, state), (drawn, state_after), rtol=0, atol=0)


def test_nothing_is_drawn_in_a_rehearsal(trainer, mini, tmp_path):
    callbacks = [*drawings_for("VAE", every_n_epochs=1)[0], lg.callbacks.SampleDiversity()]
    trainer(*callbacks, fast_dev_run=True).fit(fixed("VAE"), mini)
    assert not list(tmp_path.rglob("*.png"))


@pytest.mark.parametrize(("kind", "name"), [("VAE", "collapse_monitor"), ("VQVAE", "codebook_use")])
def test_a_measure_of_an_epoch_without_validation_is_not_drawn(kind, name, trainer, mini, pictures):
    chart = CHARTS[name](every_n_epochs=1)
    trainer(chart, max_epochs=3, check_val_every_n_epoch=2).fit(fixed(kind), mini)
    assert list(pictures(name)) == [4]
