"""Codes of images found by optimisation (GAN inversion, Zhu et al. 2016, arXiv:1609.03552)."""

from collections.abc import Callable, Collection
from functools import partial
from math import prod
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from lightning_gen import contracts
from lightning_gen.contracts import Batch, Images, PerImage, able, condition_on
from lightning_gen.errors import UserError, check_whole
from lightning_gen.features import Extractor
from lightning_gen.latent import descend
from lightning_gen.models.conditional import SamplesConditions
from lightning_gen.pictures.codes import free_dimensions
from lightning_gen.pictures.picture import decode_all
from lightning_gen.progress import progress
from lightning_gen.runs.finished import FinishedRun

CANDIDATES, MOST_NUMBERS = 1000, 2**26
"""Draws of the prior among which a search starts at the nearest; fewer of large images, which are
so many numbers at most."""
RATE = 0.2
"""The learning rate, in root mean squares of an entry of a code."""
FEATURE_WEIGHT = 0.05
"""Of the squared distance of features, beside that of pixels; both are relative to the image's."""


@torch.no_grad()
def find_codes(
    run: FinishedRun,
    batch: Batch,
    restarts: int,
    steps: int,
    features: Extractor | None = None,
    batch_size: int = 256,
    seen_at: Collection[int] = (),
) -> Float[Tensor, "s n d"]:
    """Codes [N, D] whose decoded images have the least squared distance to those of a batch.

    They are the best ones after each of the steps ``seen_at``, then those after the last step. Adam
    takes the steps from ``restarts`` points for each image, and from its own code where the model
    encodes; what follows ``latent_dim`` entries, a condition, stays. A UserError says that the
    model decodes no codes, or has no gradient.
    """
    for name, value in (("restarts", restarts), ("steps", steps), ("batch_size", batch_size)):
        check_whole(name, value, 1)
    run.require(contracts.WALKS, "project")
    model: Any = run.model
    starts = starting_points(model, batch, restarts, batch_size)
    count, times, _ = starts.shape
    free = free_dimensions(model, starts[0])
    rate = RATE * starts[..., :free].square().mean().sqrt().item()
    size, found = max(1, batch_size // times), []
    with progress(-(-count // size) * (steps + 1), "searching", "step") as bar:
        parts = (torch.split(each, size) for each in (starts, batch.images))
        for part, images in zip(*parts, strict=True):
            distance = distance_to(images.repeat_interleave(times, dim=0), features)
            way = []
            search = descend(model.decode, distance, part.flatten(0, 1), free, steps, rate)
            for step, best in enumerate(search):
                bar.update()
                if step in seen_at or step == steps:
                    way.append(best.codes.view_as(part))
            chosen = best.distances.view(len(part), times).argmin(dim=1)
            found.append(torch.stack(way)[:, torch.arange(len(part)), chosen])
    return torch.cat(found, dim=1)


def starting_points(
    model: Any,  # noqa: ANN401
    batch: Batch,
    restarts: int,
    batch_size: int,
) -> Float[Tensor, "n r d"]:
    """The code of each image, and those of the draws of the prior whose images are nearest to it.

    Each where the model has it; the draws are given the condition of the image.
    """
    parts = map(Batch, *(torch.split(tensor, batch_size) for tensor in batch))
    own, starts = None, list[Tensor]()
    if able(model, (contracts.Encodes,)):
        own = torch.cat([condition_on(model, part).encode(part.images) for part in parts]).float()
        starts.append(own[:, None])
    if isinstance(model, contracts.SamplesCodes):
        few = min(CANDIDATES, MOST_NUMBERS // prod(batch.images.shape[1:]))
        draws = model.sample_codes(max(restarts, few)).float()
        nearest = draws[:restarts].repeat(len(batch.images), 1, 1)
        known = conditions_of(model, batch, own)
        if known is None:
            nearest = nearest_draws(model, draws, batch.images, restarts)
        else:
            for vector in torch.unique(known, dim=0):
                draws[:, model.latent_dim :] = vector
                which = (known == vector).all(dim=1)
                nearest[which] = nearest_draws(model, draws, batch.images[which], restarts)
        starts.append(nearest)
    return torch.cat(starts, dim=1)


def conditions_of(model: Any, batch: Batch, own: Tensor | None) -> Tensor | None:  # noqa: ANN401
    """What follows the latent vector in the code of each image; None where nothing is known."""
    if own is not None:
        return own[:, model.latent_dim :] if own.shape[1] > model.latent_dim else None
    if isinstance(model, SamplesConditions) and (batch.labels != contracts.NO_CLASS).all():
        return model.condition.of(batch)
    return None


def nearest_draws(
    model: Any,  # noqa: ANN401
    draws: Float[Tensor, "m d"],
    images: Images,
    count: int,
) -> Float[Tensor, "n r d"]:
    """Of some codes those whose images are nearest to each of these."""
    decoded = decode_all(model, draws).flatten(1)
    distances = torch.cdist(images.flatten(1), decoded.to(images))
    return draws[distances.topk(count, largest=False).indices]


def distance_to(images: Images, features: Extractor | None) -> Callable[[Images], PerImage]:
    """The squared distance of decoded images to ``images``, in pixels and in features."""

    def squared(found: Tensor, wanted: Tensor) -> PerImage:
        return (found - wanted).square().flatten(1).sum(dim=1)

    if features is None:
        return partial(squared, wanted=images)
    wanted = features.to(images.device)(images)
    weight = FEATURE_WEIGHT * squared(images, torch.zeros_like(images))
    weight = weight / squared(wanted, torch.zeros_like(wanted)).clamp(min=1e-12)

    def with_features(found: Images) -> PerImage:
        seen = features.features(found.float())
        if found.requires_grad and not seen.requires_grad:
            raise UserError(
                f"a search follows a gradient, and {features.name} rounds images to 8 bits, so "
                "that it has none. Take a TrainedClassifier, such as FashionMNISTClassifier."
            )
        return squared(found, images) + weight * squared(seen, wanted)

    return with_features
