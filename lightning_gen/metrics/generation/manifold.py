"""How much of the generated is real, and how much of the real is generated."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lightning_gen.errors import UserError
from lightning_gen.metrics.estimate import Estimate
from lightning_gen.metrics.generation.balls import Balls, centred
from lightning_gen.metrics.generation.stored import StoredFeatures

PartNumbers = Int[Tensor, " _"]
"""The number of the part that each image belongs to."""


class PrecisionRecallValue(NamedTuple):
    """Both are shares of images, from 0 to 1, and higher is better."""

    precision: Estimate
    recall: Estimate


class DensityCoverageValue(NamedTuple):
    """Density is at least 0 and may be above 1, coverage is from 0 to 1; higher is better."""

    density: Estimate
    coverage: Estimate


class NeighbourScores(StoredFeatures):
    """Scores of balls around images that reach to the k-th nearest neighbour in the same set.

    The standard error is over other draws of both sets. It is had from the scores of random halves
    and quarters of the images at hand, neither a formula nor a jackknife being right where an image
    more moves balls: sqrt(2 v_2 - v_4), v_p the variance of a p-th's score over p. nan for fewer
    than 100 images, and where all parts have the same score, such as 0.

    Distances are taken in float64 from centred features, so that a common offset and near copies
    are told right. The memory is a few blocks of 8 MiB, the features in float64, and 1 kB and more
    for each image, by the number of others among its 8 (k + 1) neighbours. Only values of the same
    extractor, the same resizing and the same numbers of images compare. ``neighbours`` is k.
    """

    higher_is_better: bool | None = True

    def __init__(self, neighbours: int) -> None:
        super().__init__()
        if not 1 <= neighbours <= 10:
            raise UserError(
                f"{type(self).__name__}.neighbours is 1 to 10, got {neighbours}. Pass 3 or 5."
            )
        self.neighbours = neighbours

    @property
    def depth(self) -> int:
        """Nearest neighbours kept of each centre.

        So many hold k of the centre's own quarter of the images all but surely, and half as many
        hold k of its own half.
        """
        return 8 * (self.neighbours + 1)

    @abstractmethod
    def balls(self, real: Tensor, generated: Tensor) -> Sequence[Balls]:
        """The balls that :meth:`scores` needs."""

    @abstractmethod
    def scores(
        self, balls: Sequence[Balls], real: PartNumbers, generated: PartNumbers
    ) -> Float[Tensor, "parts k"]:
        """The scores of each part of both sets."""

    def estimates(self) -> list[Estimate]:
        """The scores of all images and their standard errors, in float64."""
        remedy = "Measure more images or pass fewer neighbours."
        both = centred(*self.features(self.neighbours + 1, remedy))
        balls = self.balls(*both)
        [values] = self.scores(balls, *(x.new_zeros(len(x), dtype=torch.long) for x in both))
        errors = torch.full_like(values, torch.nan)
        if min(map(len, both)) >= 100:
            near = [each.within(self.depth // 2) for each in balls]
            halves = self._variance_over_parts(near, both, parts=2, repeats=100)
            variances = 2 * halves - self._variance_over_parts(balls, both, parts=4, repeats=50)
            errors = variances.where(variances > 0, torch.nan).sqrt()
        return [Estimate(*pair) for pair in zip(values, errors, strict=True)]

    def _variance_over_parts(
        self, balls: Sequence[Balls], both: Sequence[Tensor], parts: int, repeats: int
    ) -> Float[Tensor, " k"]:
        """The variance of the scores of disjoint random parts, divided by the number of parts.

        Scores of disjoint parts are independent draws of the score of so many images. Divided by
        their number it is the variance of the score of all images, as far as that falls as 1 / N.
        """
        generator = torch.Generator().manual_seed(0)
        found = []
        for _ in range(repeats):
            drawn = (torch.randperm(len(x), generator=generator).to(x.device) % parts for x in both)
            found.append(self.scores(balls, *drawn).var(dim=0))
        return torch.stack(found).mean(dim=0) / parts


def shares(chosen: Bool[Tensor, " n"], parts: Int[Tensor, " n"]) -> Float[Tensor, " parts"]:
    """The share of the images of each part that are chosen."""
    return parts[chosen].bincount(minlength=int(parts.max()) + 1) / parts.bincount().double()


class PrecisionRecall(NeighbourScores):
    """Improved precision and recall (Kynkaanniemi et al. 2019, arXiv:1904.06991, equation 1).

    Precision is the share of generated images within a ball of the real ones, recall the share of
    real images within a ball of the generated ones. Both in [0, 1], higher is better, without a
    unit. Even two draws of one distribution do not reach 1: with 1,000 to 10,000 images from
    N(0, I) both are 0.88 to 0.92 at D = 8 and 0.50 to 0.59 at D = 128. The paper's k is 3.
    """

    def __init__(self, neighbours: int = 3) -> None:
        super().__init__(neighbours)

    def balls(self, real: Tensor, generated: Tensor) -> Sequence[Balls]:
        """Around the images of both sets."""
        return [Balls.of(*pair, self.depth) for pair in ((real, generated), (generated, real))]

    def scores(
        self, balls: Sequence[Balls], real: PartNumbers, generated: PartNumbers
    ) -> Float[Tensor, "parts 2"]:
        """Both shares of each part."""
        of_real, of_generated = balls
        held = of_real.held(of_real.holds(self.neighbours, real, generated))
        found = of_generated.held(of_generated.holds(self.neighbours, generated, real))
        return torch.stack([shares(held, generated), shares(found, real)], dim=1)

    def compute(self) -> PrecisionRecallValue:
        """Both shares over all images."""
        return PrecisionRecallValue(*self.estimates())


class DensityCoverage(NeighbourScores):
    """Density and coverage (Naeem et al. 2020, arXiv:2002.09797, equations 3 and 4).

    Density is the mean over generated images of the number of real balls that hold it, divided by
    k: 1 in the mean where the distributions are equal, above 1 where the generated images keep to
    the crowded parts of the real ones. Coverage is the share of real balls that hold a generated
    image: 1 - (1/2)^k in the mean for two equally large draws of one distribution, 0.97 for k = 5.
    Generated images have no balls, so that an outlier of the model covers nothing. Without a unit.
    The paper's k is 5.
    """

    def __init__(self, neighbours: int = 5) -> None:
        super().__init__(neighbours)

    def balls(self, real: Tensor, generated: Tensor) -> Sequence[Balls]:
        """Around the real images."""
        return (Balls.of(real, generated, self.depth),)

    def scores(
        self, balls: Sequence[Balls], real: PartNumbers, generated: PartNumbers
    ) -> Float[Tensor, "parts 2"]:
        """Both scores of each part."""
        [of_real] = balls
        inside = of_real.holds(self.neighbours, real, generated)
        counts = generated.bincount()
        held = generated[of_real.point[inside]].bincount(minlength=len(counts)).double()
        density = held / (self.neighbours * counts)
        return torch.stack([density, shares(of_real.holding(inside), real)], dim=1)

    def compute(self) -> DensityCoverageValue:
        """Both over all images."""
        return DensityCoverageValue(*self.estimates())
