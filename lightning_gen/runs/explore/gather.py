"""What the explorer shows of a run: its codes as a map, thumbnails, sliders, conditions."""

import base64
import io
import math
from dataclasses import dataclass
from inspect import signature
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from lightning_gen.contracts import (
    NO_CLASS,
    WALKS,
    Codes,
    Conditional,
    Encodes,
    SamplesCodes,
    able,
)
from lightning_gen.errors import UserError
from lightning_gen.figures.style import CLASS_STYLES
from lightning_gen.latent import PCA, TSNE, UMAP, to_plane
from lightning_gen.latent.plane import principal_components
from lightning_gen.pictures.codes import (
    LabelledCodes,
    codes_of,
    device_of,
    free_dimensions,
    has_normal_prior,
    join,
    unlabelled,
    without_condition,
)
from lightning_gen.pictures.picture import decode_all
from lightning_gen.pictures.traversal import MOST_DIMENSIONS, Ranked, rank
from lightning_gen.runs.export import Graph, graphs_of
from lightning_gen.runs.finished import FinishedRun
from lightning_gen.runs.inputs import Inputs, SplitInputs
from lightning_gen.runs.outputs import to_bytes

ProjectionName = Literal["PCA", "TSNE", "UMAP"]
PROJECTIONS = {"PCA": PCA(), "TSNE": TSNE(), "UMAP": UMAP()}
MOST_NUMBERS = 1_500_000
"""Of all codes in a page, 6 MB: of maps of 6,272 numbers there are 239 images."""
DIMENSIONS, COMPONENTS = 256, 32
"""Sliders, at most, along single dimensions and along principal components."""
SPAN = 3.0
"""Standard deviations that a slider has to each side, at least."""
LEAST = 3
"""Images of a map."""
TILE = 64
"""Pixels of the longer side of a thumbnail, at most."""


class Shown(NamedTuple):
    """Codes and their images, as uint8 [N, C, H, W]; ``what`` says which they are."""

    codes: LabelledCodes
    pixels: NDArray[np.uint8]
    what: str


class Axes(NamedTuple):
    """Straight lines through the codes [.., D]: unit vectors from an origin, and a name of each."""

    origin: Tensor
    vectors: Tensor
    names: list[str]


@dataclass(frozen=True)
class Explored:
    """A run in the explorer.

    Attributes:
        run: the finished run.
        graphs: its functions of tensors, ``decode`` and, where it has one, ``encode``.
        about: what the page is told.
    """

    run: FinishedRun
    graphs: dict[str, Graph]
    about: dict[str, Any]


def gather(run: FinishedRun, inputs: Inputs, count: int, projection: ProjectionName) -> Explored:
    """All that is shown of the first ``count`` images, or draws where the model has no encoder.

    A UserError says that the model has no codes to walk through.
    """
    graphs = functions_of(run)
    length = graphs["decode"].inputs["codes"].shape[1]
    shown = codes_shown(run, inputs, max(LEAST, min(count, MOST_NUMBERS // length)))
    codes = shown.codes.codes
    if len(codes) < LEAST:
        raise UserError(f"a map takes {LEAST} images or more, got {len(codes)}. Pass more.")
    free = free_dimensions(run.model, codes)
    draw, cools = drawing_of(run)
    known = set(shown.codes.labels.tolist()) - {NO_CLASS}
    names = [*inputs.class_names] if "encode" in graphs and len(known) > 1 else []
    about = {
        "run": run.name,
        "model": type(run.model).__name__,
        "shape": [*run.image_shape],
        "length": length,
        "free": free,
        "what": shown.what,
        "count": len(codes),
        "codes": packed(codes),
        "labels": shown.codes.labels.tolist(),
        "names": names,
        "styles": CLASS_STYLES,
        "tiles": sprite(shown.pixels),
        "encodes": "encode" in graphs,
        "draws": draw is not None,
        "cools": cools,
        "normal": isinstance(run.model, SamplesCodes) and has_normal_prior(run.model),
        "conditions": conditions(run),
    }
    about |= {"map": plane(codes[:, :free], projection), "sliders": sliders(run, shown.codes)}
    return Explored(run, graphs, about)


def functions_of(run: FinishedRun) -> dict[str, Graph]:
    """``encode``, where the model has it, and ``decode``; a UserError where there is none."""
    run.require(WALKS, "explore")
    found = {}
    examples = torch.rand(2, *run.image_shape, device=device_of(run.model))
    with torch.no_grad():
        for graph in graphs_of(run.model, examples):
            found[graph.name] = graph
            if graph.name == "decode":
                break
    return found


@torch.no_grad()
def codes_shown(run: FinishedRun, inputs: Inputs, count: int) -> Shown:
    """The codes of the first images, or draws of the prior where the model has no encoder."""
    if not able(run.model, (Encodes,)):
        drawn = run.model.sample_codes(count)
        return Shown(unlabelled(drawn), to_bytes(decode_all(run.model, drawn)), "draws")
    codes, pixels = [], []
    for batch, _ in inputs.shown("encoding", count):
        codes.append(codes_of(run.model, batch))
        pixels.append(to_bytes(batch.images))
    splits = {"train": "training", "val": "validation", "test": "test"}
    split = splits[inputs.split] if isinstance(inputs, SplitInputs) else ""
    return Shown(join(codes), np.concatenate(pixels), f"{split} images".strip())


def plane(codes: Codes, projection: ProjectionName) -> dict[str, Any]:
    """The map: where each code lies, and the straight axes of the plane where it has some."""
    points, axes = to_plane(codes, PROJECTIONS[projection])
    told: dict[str, Any] = {"points": packed(points), "axes": axes, "straight": None}
    size = codes.shape[1]
    if size <= 2:
        told["straight"] = told_axes(Axes(torch.zeros(size), torch.eye(size), []))
    elif projection == "PCA":
        pca = principal_components(codes)
        told["straight"] = told_axes(Axes(pca.mean, pca.axes, []))
    return told


def sliders(run: FinishedRun, seen: LabelledCodes) -> dict[str, Any]:
    """What the sliders move along, the most important one first, and over which range."""
    codes = without_condition(run.model, seen).codes
    size, encodes = codes.shape[1], able(run.model, (Encodes,))
    if encodes and size > 2 and (size > MOST_DIMENSIONS or not seen.kl.shape[1]):
        pca = principal_components(codes, COMPONENTS)
        names = [f"PC {j + 1}  {100 * share:.1f} %" for j, share in enumerate(pca.shares.tolist())]
        order = "Principal components of the codes, ordered by their share of the variance"
        axes = Axes(pca.mean.float(), pca.axes.float(), names)
    else:
        ranked = [Ranked(j, f"z{j}") for j in range(min(size, DIMENSIONS))]
        order = "Latent dimensions in their own order: the prior treats them alike"
        if encodes:
            ranked = rank(run.model, seen, DIMENSIONS)
            by = "KL to the prior" if seen.kl.shape[1] else "standard deviation of the codes"
            order = f"Latent dimensions, ordered by {by}"
        chosen = torch.eye(size)[[dimension for dimension, _ in ranked]]
        axes = Axes(torch.zeros(size), chosen, [name for _, name in ranked])
    along = (codes - axes.origin) @ axes.vectors.T
    normal = isinstance(run.model, SamplesCodes) and has_normal_prior(run.model)
    far = SPAN * along.std(dim=0, correction=0).clamp(min=1.0 if normal else 0.0)
    low, high = torch.minimum(along.amin(dim=0), -far), torch.maximum(along.amax(dim=0), far)
    return told_axes(axes) | {"order": order, "ranges": torch.stack([low, high], dim=1).tolist()}


def conditions(run: FinishedRun) -> dict[str, Any] | None:
    """The names of what a conditional model can be told, and the end of a code of each."""
    if not isinstance(run.model, Conditional):
        return None
    examples = run.model.examples()
    labels = torch.stack([*examples.values()]).to(device_of(run.model))
    draw, _ = drawing_of(run)
    codes = draw(len(labels), labels)[:, run.model.latent_dim :]
    one_of = labels.ndim == 1
    names = [*examples] if one_of else [*examples][1:]
    return {"names": names, "one_of": one_of, "vectors": codes.tolist()}


def drawing_of(run: FinishedRun) -> tuple[Any, bool]:
    """What draws codes, or images where the prior is of something else; and with a temperature.

    None of a model without a prior.
    """
    name = "sample_codes" if isinstance(run.model, SamplesCodes) else "sample"
    draw = getattr(run.model, name, None)
    return draw, draw is not None and "temperature" in signature(draw).parameters


@torch.no_grad()
def draw_codes(run: FinishedRun, count: int, temperature: float) -> Codes:
    """Draws of the prior, without the condition at the end of a code.

    Of a model whose prior is of something else, such as entries of codebooks, the codes of images.
    """
    draw, cools = drawing_of(run)
    drawn = draw(count, **{"temperature": temperature} if cools else {})
    known = isinstance(run.model, SamplesCodes)
    codes: Codes = drawn[:, : run.model.latent_dim] if known else run.model.encode(drawn)
    return codes.float().cpu()


def sprite(pixels: NDArray[np.uint8]) -> dict[str, Any]:
    """All thumbnails in one picture, row by row, as a data URI."""
    channels, height, width = pixels.shape[1:]
    shrink = min(1.0, TILE / max(height, width))
    size = max(1, round(width * shrink)), max(1, round(height * shrink))
    columns = math.ceil(math.sqrt(len(pixels)))
    rows = math.ceil(len(pixels) / columns)
    sheet = Image.new("RGB" if channels == 3 else "L", (columns * size[0], rows * size[1]))
    for place, tile in enumerate(pixels):
        image = Image.fromarray(tile.transpose(1, 2, 0) if channels == 3 else tile[0])
        row, column = divmod(place, columns)
        sheet.paste(image.resize(size), (column * size[0], row * size[1]))
    file = io.BytesIO()
    sheet.save(file, format="WEBP", quality=85)
    uri = f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()}"
    return {"uri": uri, "columns": columns, "width": size[0], "height": size[1]}


def told_axes(axes: Axes) -> dict[str, Any]:
    """Axes as the page reads them."""
    return {"origin": packed(axes.origin), "vectors": packed(axes.vectors), "names": axes.names}


def packed(numbers: Tensor) -> str:
    """Numbers as little-endian float32 in base64."""
    return base64.b64encode(numbers.float().cpu().numpy().astype("<f4").tobytes()).decode()


def check_beside(first: Explored, second: Explored) -> None:
    """Raise a UserError unless two runs take codes of one length and give images of one shape."""
    lengths, shapes = [], []
    for each in (first, second):
        lengths.append(each.graphs["decode"].inputs["codes"].shape[1])
        shapes.append("x".join(map(str, each.run.image_shape)))
    if lengths[0] != lengths[1] or shapes[0] != shapes[1]:
        raise UserError(
            f"--beside decodes the same codes, got {lengths[0]} numbers to {shapes[0]} and "
            f"{lengths[1]} to {shapes[1]}. Choose a run of the same latent_dim on the same images."
        )
