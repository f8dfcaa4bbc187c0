"""The figures of a comparison: what several models make of the same images and the same noise."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple

import torch

from lightning_gen import contracts
from lightning_gen.contracts import Batch, able, condition_on
from lightning_gen.errors import UserError
from lightning_gen.pictures import (
    Arithmetic,
    LatentGrid,
    LatentScatter,
    Names,
    Picture,
    Samples,
    Seen,
    View,
)
from lightning_gen.pictures.arithmetic import default_terms
from lightning_gen.pictures.codes import LabelledCodes, codes_of, join
from lightning_gen.runs.inputs import SplitInputs
from lightning_gen.runs.outputs import as_image
from lightning_gen.runs.pages.compared import ComparedRun
from lightning_gen.runs.pages.html import Exhibit

CODES = 2000
"""Images whose codes are looked at."""


class SharedImages(NamedTuple):
    """Images of the first run's test split that are shown, with the names of labels and factors.

    ``codes`` are those of many more of the ``total`` images, in each run that is able to encode.
    """

    batch: Batch
    names: Names
    codes: dict[str, LabelledCodes]
    total: int

    @classmethod
    def read(cls, runs: Sequence[ComparedRun], num_images: int) -> "SharedImages":
        """Read and encode them; a UserError where the dataset of the first run cannot be read."""
        inputs = SplitInputs(runs[0].finished, "test")
        parts = [batch for batch, _ in inputs.shown("encoding", max(CODES, num_images))]
        whole = Batch.joined(parts)
        codes: dict[str, LabelledCodes] = {}
        for run in runs:
            with suppress(UserError):  # other classes: ``of`` says so where the codes are missed
                check_classes(run.model, inputs.class_names)
                if able(run.model, (contracts.Encodes,)):
                    codes[run.label] = join([codes_of(run.model, part) for part in parts])
        names = Names(inputs.class_names, inputs.factor_names)
        return cls(whole.first(num_images), names, codes, len(inputs))

    def of(self, run: ComparedRun) -> Seen:
        """What pictures of a run look at; a UserError where it was told of other classes."""
        check_classes(run.model, self.names.classes)
        codes, complete = self.codes.get(run.label), self.total <= CODES
        return Seen("test images", self.batch, codes, self.names, complete=complete)


def check_classes(model: object, class_names: Sequence[str]) -> None:
    """Raise a UserError where a conditional model was trained with other classes than these."""
    own = getattr(model, "hparams", {}).get("class_names")
    if isinstance(model, contracts.Conditional) and own and tuple(own) != tuple(class_names):
        raise UserError(
            f"it is told the class of each image, and its {len(own)} classes are not the "
            f"{len(class_names)} of these images."
        )


def show(
    exhibit: Exhibit,
    runs: Sequence[ComparedRun],
    picture: Picture,
    ability: str,
    seen: Callable[[ComparedRun], Seen],
    seed: int = 0,
) -> Exhibit:
    """Add a picture of each run that is able to give one, and a note about each that is not.

    ``ability`` is what models do that have what the picture requires, in words.
    """
    for run in runs:
        try:
            if not able(run.model, picture.requires):
                raise UserError(f"{type(run.model).__name__} does not {ability}.")
            torch.manual_seed(seed)
            exhibit.pictures[run.label] = as_image(picture.draw(run.model, seen(run)))
        except UserError as error:
            exhibit.notes.append(f"{run.label} is left out: {error}")
    return exhibit


def reconstructions(runs: Sequence[ComparedRun], images: SharedImages) -> Exhibit:
    """The originals, then a row of reconstructions a run."""
    text = (
        "The same test images, and what each model gives back from their codes. A column is one "
        "image: look for which details are lost in which row."
    )
    exhibit = Exhibit("reconstructions", "Reconstructions", text)
    rows = {"original": images.batch.images.cpu()}
    for run in runs:
        try:
            if not able(run.model, (contracts.Reconstructs,)):
                raise UserError(f"{type(run.model).__name__} does not reconstruct images.")
            check_classes(run.model, images.names.classes)
            knowing = condition_on(run.model, images.batch)
            rows[run.label] = knowing.reconstruct(images.batch.images).cpu()
        except UserError as error:
            exhibit.notes.append(f"{run.label} is left out: {error}")
    if len(rows) > 1:
        view = View(rows, f"{len(images.batch.images)} test images and their reconstructions")
        exhibit.pictures["all runs"] = as_image(view)
    return exhibit


def samples(runs: Sequence[ComparedRun], num_images: int, seed: int) -> Exhibit:
    """Samples of each run from the same seed."""
    able_to = [run for run in runs if isinstance(run.model, contracts.SamplesImages)]
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

    exhibit = Exhibit("samples", "Samples", text)
    picture = Samples(num_images=num_images, seed=seed)
    return show(exhibit, runs, picture, "make new images", lambda run: Seen())


def sums(runs: Sequence[ComparedRun], images: SharedImages) -> Exhibit:
    """mean(A) - mean(B) + mean(C) in each run."""
    exhibit = Exhibit.of("arithmetic")
    codes = next(iter(images.codes.values()), None)
    terms = codes and default_terms(codes, images.names)
    if terms is None:
        exhibit.notes.append(
            "No three classes of these data are known to make a sum that says something; choose "
            "some with lightning-gen arithmetic."
        )
        return exhibit
    return show(exhibit, runs, Arithmetic(terms=terms), "encode and decode", images.of)


def all_exhibits(
    runs: Sequence[ComparedRun], images: SharedImages | None, num_images: int, seed: int
) -> list[Exhibit]:
    """All figures of a comparison; without images those that need none."""

    def codes_alone(run: ComparedRun) -> Seen:
        return Seen(codes=images.codes.get(run.label) if images else None)

    drawn = samples(runs, num_images, seed)
    grids, decodes = Exhibit.of("latent_grid"), "decode codes that can be chosen"
    show(grids, runs, LatentGrid(steps=12), decodes, codes_alone, seed)
    if images is None:
        return [drawn, grids]
    codes = Exhibit.of("latent_scatter_test")
    codes = replace(codes, text=f"{codes.text} More than two dimensions are laid out by PCA.")
    show(codes, runs, LatentScatter(), "encode images", images.of)
    return [reconstructions(runs, images), drawn, grids, codes, sums(runs, images)]
