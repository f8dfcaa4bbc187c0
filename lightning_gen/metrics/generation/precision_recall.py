"""How much of the generated is real, and how much of the real is generated."""

from typing import Any, NamedTuple

from lightning_gen.metrics.estimate import Estimate
from lightning_gen.metrics.generation.balls import (
    centred,
    contents,
    mean_over_images,
    squared_radii,
)
from lightning_gen.metrics.generation.checks import check_neighbours
from lightning_gen.metrics.generation.stored import StoredFeatures


class PrecisionRecallValue(NamedTuple):
    """Both are shares of images, from 0 to 1, and higher is better."""

    precision: Estimate
    recall: Estimate


class PrecisionRecall(StoredFeatures):
    """Improved precision and recall (Kynkaanniemi et al. 2019, arXiv:1904.06991, equation 1).

    Precision is the share of generated images within a ball of the real ones, recall the share of
    real images within a ball of the generated ones. The ball of an image reaches to its k-th
    nearest neighbour in its own set. Both in [0, 1], higher is better, without a unit; only values
    of the same extractor, the same resizing and the same numbers of images compare. Even two draws
    of one distribution do not reach 1: with
    1,000 to 10,000 images from N(0, I) both are 0.88 to 0.92 at D = 8 and 0.50 to 0.59 at D = 128.

    The standard error is that of a mean over images with the balls given: it leaves out that other
    images would have had other balls.

    Distances are taken in float64 from centred features, so that a common offset and near copies
    are told right. The memory is a few blocks of 8 MiB, and the features in float64.

    Args:
        neighbours: k, the paper's 3.
        kwargs: passed to torchmetrics.Metric.
    """

    higher_is_better: bool | None = True

    def __init__(self, neighbours: int = 3, **kwargs: Any) -> None:  # noqa: ANN401  (torchmetrics')
        super().__init__(**kwargs)
        check_neighbours("PrecisionRecall", neighbours)
        self.neighbours = neighbours

    def compute(self) -> PrecisionRecallValue:
        """Both shares over all images, in float64."""
        remedy = "Measure more images or pass fewer neighbours."
        real, generated = centred(*self.features(self.neighbours + 1, remedy))
        of_real = contents(real, squared_radii(real, self.neighbours), generated)
        of_generated = contents(generated, squared_radii(generated, self.neighbours), real)
        return PrecisionRecallValue(
            precision=mean_over_images((of_real.balls > 0).double()),
            recall=mean_over_images((of_generated.balls > 0).double()),
        )
