"""What several models make of the same images and of the same noise."""

from collections.abc import Sequence
from typing import Any, cast

import torch
from PIL import Image

from lightning_gen import contracts
from lightning_gen.contracts import given
from lightning_gen.errors import UserError
from lightning_gen.figures import Pixels, image_grid
from lightning_gen.latent import PCA
from lightning_gen.runs.pages.captions import caption
from lightning_gen.runs.pages.compared_runs import ComparedRun
from lightning_gen.runs.pages.exhibit import Exhibit
from lightning_gen.runs.pages.shared_images import SharedImages, check_classes
from lightning_gen.views import (
    View,
    arithmetic,
    default_terms,
    grid_axes,
    latent_grid,
    latent_scatter,
    without_condition,
)

GRID_STEPS = 12
"""Images along each side of a latent grid."""


def reconstructions(runs: Sequence[ComparedRun], images: SharedImages) -> Exhibit:
    """The originals, then a row of reconstructions a run."""
    text = (
        "The same test images, and what each model gives back from their codes. A column is one "
        "image: look for which details are lost in which row."
    )
    exhibit = Exhibit("reconstructions", "Reconstructions", text)
    rows = {"original": images.batch.images.cpu()}

    def add(run: ComparedRun) -> None:
        check_classes(run.model, images.class_names)
        knowing = given(run.model, images.batch)
        rows[run.label] = knowing.reconstruct(images.batch.images).cpu()

    for run in runs:
        exhibit.try_run(run, (contracts.Reconstructs,), "reconstruct images", add)
    if len(rows) > 1:
        view = View(rows, f"{len(images.batch.images)} test images and their reconstructions")
        exhibit.pictures["all runs"] = Image.fromarray(view.pixels())
    return exhibit


def samples(runs: Sequence[ComparedRun], num_images: int, seed: int) -> Exhibit:
    """Samples of each run from the same seed."""
    exhibit = Exhibit("samples", caption("samples").title, _samples_text(runs, seed))

    def draw(run: ComparedRun) -> Pixels:
        torch.manual_seed(seed)
        images = cast(contracts.Samples, run.model).sample(num_images)
        return image_grid(images, f"{num_images} samples, seed {seed}")

    exhibit.show_each(runs, (contracts.Samples,), "make new images", draw)
    return exhibit


def _samples_text(runs: Sequence[ComparedRun], seed: int) -> str:
    able_to = [run for run in runs if isinstance(run.model, contracts.Samples)]
    groups: dict[int, list[str]] = {}
    for run in able_to:
        if isinstance(run.model, contracts.SamplesCodes):
            groups.setdefault(run.model.latent_dim, []).append(run.label)
    same = {size: labels for size, labels in groups.items() if len(labels) > 1}
    text = f"New images, each run with seed {seed}. "
    for size, labels in same.items():
        text += (
            f"{' and '.join(labels)} have latent_dim {size}: images at the same place are decoded "
            "from the same noise. "
        )
    if len(able_to) > 1 and not same:
        text += "Their codes differ in kind or length, so places have nothing in common. "
    return text + "Does each look real, and do they differ from each other?"


def latent_grids(runs: Sequence[ComparedRun], images: SharedImages | None, seed: int) -> Exhibit:
    """A plane of each latent space, decoded."""
    known = caption("latent_grid")
    exhibit = Exhibit("latent_grid", known.title, known.text)

    def draw(run: ComparedRun) -> Pixels:
        model: Any = run.model
        if images is not None and run.label in images.codes:
            codes = images.codes[run.label].codes.to(model.device)
        elif isinstance(model, contracts.SamplesCodes):
            torch.manual_seed(seed)
            codes = model.sample_codes(1)
        else:
            raise UserError("there are no codes of test images to lay a plane through")
        return latent_grid(model, grid_axes(model, codes, GRID_STEPS)).pixels()

    exhibit.show_each(runs, contracts.WALKS, "decode codes that can be chosen", draw)
    return exhibit


def latent_scatters(runs: Sequence[ComparedRun], images: SharedImages) -> Exhibit:
    """The codes of test images in each run, coloured by class."""
    known = caption("latent_scatter_test")
    text = f"{known.text} More than two dimensions are laid out by PCA."
    exhibit = Exhibit("latent_scatter", known.title, text)

    def draw(run: ComparedRun) -> Pixels:
        codes = without_condition(run.model, images.of(run))
        return latent_scatter(codes, images.class_names, PCA(), "test images", total=images.total)

    exhibit.show_each(runs, (contracts.Encodes,), "encode images", draw)
    return exhibit


def sums(runs: Sequence[ComparedRun], images: SharedImages) -> Exhibit:
    """mean(A) - mean(B) + mean(C) in each run."""
    known = caption("arithmetic")
    exhibit = Exhibit("arithmetic", known.title, known.text)
    terms = default_terms(images.class_names)
    if terms is None:
        exhibit.notes.append("The dataset has fewer than three classes to add and subtract.")
        return exhibit

    def draw(run: ComparedRun) -> Pixels:
        codes = images.of(run)
        view = arithmetic(
            cast(contracts.Decodes, run.model),
            codes,
            terms,
            images.class_names,
            images.factor_names,
            run.model.device,
        )
        return view.pixels()

    needs = (contracts.Encodes, contracts.Decodes)
    exhibit.show_each(runs, needs, "encode and decode", draw)
    return exhibit
