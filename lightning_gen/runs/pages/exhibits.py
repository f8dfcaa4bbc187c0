"""The figures of a comparison: what several models make of the same images and the same noise."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from PIL import Image

from lightning_gen import contracts
from lightning_gen.contracts import Needs, able, given
from lightning_gen.errors import UserError
from lightning_gen.figures import Pixels, image_grid
from lightning_gen.latent import PCA
from lightning_gen.runs.pages.compared_runs import ComparedRun
from lightning_gen.runs.pages.html import caption
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


@dataclass(frozen=True)
class Exhibit:
    """One figure of a comparison.

    Attributes:
        anchor: what links in the page call it.
        title: what it is.
        text: how to read it.
        pictures: by the name of the run, or of all runs together.
        notes: what else has to be said, such as which run is left out.
    """

    anchor: str
    title: str
    text: str
    pictures: dict[str, Image.Image] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def show(
        self,
        runs: Sequence[ComparedRun],
        needs: Needs,
        ability: str,
        draw: Callable[[ComparedRun], Pixels | None],
    ) -> "Exhibit":
        """A picture of each run that is able to give one, and a note about each that is not.

        Args:
            runs: the runs.
            needs: what a model must be able to do.
            ability: the same in words, after "does not".
            draw: makes the picture of a run; None where it is shown elsewhere.
        """
        for run in runs:
            if not able(run.model, needs):
                reason = f"{type(run.model).__name__} does not {ability}."
                self.notes.append(f"{run.label} is left out: {reason}")
                continue
            try:
                if (pixels := draw(run)) is not None:
                    self.pictures[run.label] = Image.fromarray(pixels)
            except UserError as error:
                self.notes.append(f"{run.label} is left out: {error}")
        return self


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

    exhibit.show(runs, (contracts.Reconstructs,), "reconstruct images", add)
    if len(rows) > 1:
        view = View(rows, f"{len(images.batch.images)} test images and their reconstructions")
        exhibit.pictures["all runs"] = Image.fromarray(view.pixels())
    return exhibit


def samples(runs: Sequence[ComparedRun], num_images: int, seed: int) -> Exhibit:
    """Samples of each run from the same seed."""
    able_to = [run for run in runs if isinstance(run.model, contracts.Samples)]
    groups: dict[int, list[str]] = {}
    for run in able_to:
        if isinstance(run.model, contracts.SamplesCodes):
            groups.setdefault(run.model.latent_dim, []).append(run.label)
    same = {size: labels for size, labels in groups.items() if len(labels) > 1}
    text = f"New images, each run with seed {seed}. " + "".join(
        f"{' and '.join(labels)} have latent_dim {size}: images at the same place are decoded from "
        "the same noise. "
        for size, labels in same.items()
    )
    if len(able_to) > 1 and not same:
        text += "Their codes differ in kind or length, so places have nothing in common. "
    text += "Does each look real, and do they differ from each other?"

    def draw(run: ComparedRun) -> Pixels:
        torch.manual_seed(seed)
        images = cast(contracts.Samples, run.model).sample(num_images)
        return image_grid(images, f"{num_images} samples, seed {seed}")

    exhibit = Exhibit("samples", caption("samples").title, text)
    return exhibit.show(runs, (contracts.Samples,), "make new images", draw)


def latent_grids(runs: Sequence[ComparedRun], images: SharedImages | None, seed: int) -> Exhibit:
    """A plane of each latent space, decoded."""

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

    exhibit = Exhibit("latent_grid", *caption("latent_grid"))
    return exhibit.show(runs, contracts.WALKS, "decode codes that can be chosen", draw)


def latent_scatters(runs: Sequence[ComparedRun], images: SharedImages) -> Exhibit:
    """The codes of test images in each run, coloured by class."""
    title, text = caption("latent_scatter_test")

    def draw(run: ComparedRun) -> Pixels:
        codes = without_condition(run.model, images.of(run))
        return latent_scatter(codes, images.class_names, PCA(), "test images", total=images.total)

    text += " More than two dimensions are laid out by PCA."
    exhibit = Exhibit("latent_scatter", title, text)
    return exhibit.show(runs, (contracts.Encodes,), "encode images", draw)


def sums(runs: Sequence[ComparedRun], images: SharedImages) -> Exhibit:
    """mean(A) - mean(B) + mean(C) in each run."""
    exhibit = Exhibit("arithmetic", *caption("arithmetic"))
    codes = next(iter(images.codes.values()), None)
    terms = codes and default_terms(codes, images.class_names, images.factor_names)
    if terms is None:
        exhibit.notes.append(
            "No three classes of these data are known to make a sum that says something; choose "
            "some with lightning-gen arithmetic."
        )
        return exhibit

    def draw(run: ComparedRun) -> Pixels:
        names = images.class_names, images.factor_names
        model = cast(contracts.Decodes, run.model)
        return arithmetic(model, images.of(run), terms, *names, run.model.device).pixels()

    needs = (contracts.Encodes, contracts.Decodes)
    return exhibit.show(runs, needs, "encode and decode", draw)
