"""Pictures of the latent space of a finished run."""

from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import Any

from lightning_gen import contracts
from lightning_gen.contracts import Encodes, condition_on
from lightning_gen.errors import UserError
from lightning_gen.latent import PathName
from lightning_gen.runs.finished import FinishedRun
from lightning_gen.runs.inputs import Inputs, SplitInputs
from lightning_gen.runs.outputs import write_view
from lightning_gen.views.arithmetic import arithmetic as arithmetic_view
from lightning_gen.views.arithmetic import check_terms
from lightning_gen.views.codes import LabelledCodes, encode, free_dimensions, join, unlabelled
from lightning_gen.views.dimensions import Ranked, check_range, rank, traversal, typical
from lightning_gen.views.view import View, interpolation


def interpolate(
    run: FinishedRun,
    inputs: Inputs,
    out: Path,
    num_pairs: int = 6,
    steps: int = 10,
    path: PathName = "linear",
) -> Path:
    """Show the way from one image to the next through their codes.

    The first image goes to the second, the third to the fourth, and so on. A model without an
    encoder is shown between draws of its prior.

    Args:
        run: the finished run.
        inputs: the images.
        out: a page (.png, .pdf or .svg), a film (.gif), a folder of PNGs, or an .npz with the
            images.
        num_pairs: how many pairs, a row each.
        steps: decoded codes in a row, those of both ends included.
        path: linear, or spherical along a great arc.
    """
    run.require(contracts.WALKS, "interpolate")
    _check(run, out, num_pairs * (steps + 2))
    model = run.model
    about: dict[str, Any] = {}
    if encodes(run, inputs):
        batch, names = inputs.first(2 * num_pairs)
        if len(names) < 2:
            raise UserError(f"interpolate takes at least 2 images, got {len(names)}.")
        codes = condition_on(run.model, batch).encode(batch.images).float()
        if inputs.class_names:
            names = [inputs.class_names[label] for label in batch.labels.tolist()]
        even = 2 * (len(names) // 2)
        pairs = zip(names[:even:2], names[1:even:2], strict=True)
        about["names"] = [f"{a} to {b}" for a, b in pairs]
        about["originals"] = batch.images[:even:2], batch.images[1:even:2]
        codes = codes[:even]
    else:
        codes = run.model.sample_codes(2 * num_pairs)
    view = interpolation(model, codes[::2], codes[1::2], steps=steps, path=path, **about)
    return _written(run, view, out, film=True)


def traverse(
    run: FinishedRun,
    inputs: Inputs,
    out: Path,
    num_dimensions: int = 10,
    dimensions: Sequence[int] | None = None,
    steps: int = 9,
    span: float = 3.0,
    num_images: int = 2000,
) -> Path:
    """Show what each latent dimension does to an image, of the first 64 that of middle brightness.

    A model without an encoder is shown around a draw of its prior.

    Args:
        run: the finished run.
        inputs: the images.
        out: a page (.png, .pdf or .svg), a film (.gif), a folder of PNGs, or an .npz with the
            images.
        num_dimensions: rows: the dimensions of the largest KL, or of the largest standard deviation
            of the codes for a model without a posterior.
        dimensions: these dimensions instead.
        steps: images in a row.
        span: the range, in standard deviations to both sides.
        num_images: the first so many images rank the dimensions and give their range.
    """
    run.require(contracts.WALKS, "traverse")
    check_range(steps, span)
    _check(run, out, len(dimensions or range(num_dimensions)) * steps)
    if encodes(run, inputs):
        codes = all_codes(run, inputs, num_images)
    else:
        codes = unlabelled(run.model.sample_codes(1))
    if dimensions is None:
        ranked = rank(run.model, codes, num_dimensions)
    else:
        size = free_dimensions(run.model, codes.codes)
        if wrong := [j for j in dimensions if not 0 <= j < size]:
            raise UserError(f"--dimensions are from 0 to {size - 1} in this model, got {wrong[0]}.")
        ranked = [Ranked(j, f"z{j}") for j in dimensions]
    model = run.model
    base = typical(model, codes.codes.to(run.model.device))
    view = traversal(model, base, codes, ranked, steps=steps, span=span)
    return _written(run, view, out, film=True)


def arithmetic(
    run: FinishedRun, a: str, b: str, c: str, inputs: Inputs, out: Path, num_images: int = 10_000
) -> Path:
    """Show mean(A) - mean(B) + mean(C) of the codes of classes or attributes, with its terms.

    Args:
        run: the finished run.
        a: class or attribute; "!Smiling" is without the attribute.
        b: what is taken away.
        c: what is added.
        inputs: the images whose codes are averaged.
        out: a page (.png, .pdf or .svg), a folder of PNGs, or an .npz with the images.
        num_images: the first so many images.
    """
    run.require((contracts.Encodes, contracts.Decodes), "arithmetic")
    names = inputs.class_names, inputs.factor_names
    check_terms((a, b, c), *names)
    model, codes = run.model, all_codes(run, inputs, num_images)
    view = arithmetic_view(model, codes, (a, b, c), *names, run.model.device)
    return _written(run, view, out)


def encodes(run: FinishedRun, inputs: Inputs) -> bool:
    """Whether the images are to be encoded; images of the user's own that cannot be are refused."""
    if not isinstance(inputs, SplitInputs):
        run.require((Encodes,), "--images")
    return contracts.able(run.model, (Encodes,))


def all_codes(run: FinishedRun, inputs: Inputs, limit: int | None = None) -> LabelledCodes:
    """The codes of the first images, in memory."""
    return join([encode(run.model, batch) for batch, _ in inputs.shown("encoding", limit)])


def _check(run: FinishedRun, out: Path, images: int) -> None:
    """Raise a UserError where so many images, which are in memory twice, are too many."""
    run.check_request(out, images, held=2 * images * prod(run.image_shape))


def _written(run: FinishedRun, view: View, out: Path, *, film: bool = False) -> Path:
    return write_view(view._replace(title=f"{run.name}: {view.title}"), out, film=film)
