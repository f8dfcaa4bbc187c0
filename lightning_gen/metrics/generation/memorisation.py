"""Whether generated images are copies of training images."""

from typing import ClassVar, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lightning_gen.metrics.estimate import Estimate, KeptNumbers
from lightning_gen.metrics.generation.balls import (
    FeatureRows,
    centred,
    row_blocks,
    squared_distances,
)
from lightning_gen.metrics.generation.stored import check_images


class Memorisation(KeptNumbers):
    """How often a generated image is nearer to a training image than a held-out image is.

    The share of pairs of a generated and a held-out image in which the generated one has the
    smaller distance to its nearest training image, ties counted half (the statistic of Meehan,
    Chaudhuri & Dasgupta 2020, arXiv:2004.05675, over the whole space). 0.5 for a model that draws
    from the distribution of the images, 1 for one that copies them; below 0.5 its images are
    farther off than real ones are.

    The standard error is over other generated and other held-out images (DeLong, DeLong &
    Clarke-Pearson 1988); the training images are what they are.
    """

    names: ClassVar[tuple[str, ...]] = ("held_out", "generated")

    held_out: list[Tensor]
    generated: list[Tensor]

    def update(self, distances: Float[Tensor, " n"], real: bool) -> None:
        """Add the distances of held-out or of generated images to the nearest training image."""
        none = distances[:0]
        self.keep(*((distances, none) if real else (none, distances)))

    def compute(self) -> Estimate:
        """The share and its standard error."""
        held_out, generated = self.kept()
        name, remedy = type(self).__name__, "Measure more images."
        check_images(name, len(held_out), len(generated), 2, remedy)
        of_generated = 1 - rank_among(generated, held_out)
        of_held_out = rank_among(held_out, generated)
        variance = of_generated.var() / len(generated) + of_held_out.var() / len(held_out)
        return Estimate(of_generated.mean(), variance.sqrt())


class Nearest(NamedTuple):
    """Of each image the squared distance to the nearest training image, and which one it is."""

    distance: Float[Tensor, " n"]
    which: Int[Tensor, " n"]


def nearest_training_images(features: FeatureRows, train: Float[Tensor, "k d"]) -> Nearest:
    """The nearest training image of each image."""
    train, features = centred(train, features)
    parts = [
        squared_distances(features[rows], train).min(dim=1) for rows in row_blocks(features, train)
    ]
    return Nearest(*(torch.cat(each) for each in zip(*parts, strict=True)))


def rank_among(values: Float[Tensor, " n"], among: Float[Tensor, " m"]) -> Float[Tensor, " n"]:
    """The share of the others that each value is larger than, equal ones counted half."""
    ordered = among.sort().values
    below = torch.searchsorted(ordered, values)
    not_above = torch.searchsorted(ordered, values, right=True)
    return (below + not_above).double() / (2 * len(among))
