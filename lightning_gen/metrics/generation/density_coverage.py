"""Precision and recall that a few outliers do not change."""

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


class DensityCoverageValue(NamedTuple):
    """Density is at least 0 and may be above 1, coverage is from 0 to 1; higher is better."""

    density: Estimate
    coverage: Estimate


class DensityCoverage(StoredFeatures):
    """Density and coverage (Naeem et al. 2020, arXiv:2002.09797, equations 3 and 4).

    Density is the mean over generated images of the number of real balls that hold it, divided by
    k: 1 in the mean where the distributions are equal, above 1 where the generated images keep to
    the crowded parts of the real ones. Coverage is the share of real balls that hold a generated
    image: 1 - (1/2)^k in the mean for two equally large draws of one distribution, 0.97 for k = 5.
    The ball of a real image reaches to its k-th nearest real neighbour; generated images have none,
    so that an outlier of the model covers nothing. Without a unit; only values of the same
    extractor, the same resizing and the same numbers of images compare.

    The standard error is that of a mean over images, with the balls given for density and the
    generated images given for coverage: it leaves out that the other set might have been another.

    Distances are taken in float64 from centred features, so that a common offset and near copies
    are told right. The memory is a few blocks of 8 MiB, and the features in float64.

    Args:
        neighbours: k, the paper's 5.
        kwargs: passed to torchmetrics.Metric.
    """

    higher_is_better: bool | None = True

    def __init__(self, neighbours: int = 5, **kwargs: Any) -> None:  # noqa: ANN401  (torchmetrics')
        super().__init__(**kwargs)
        check_neighbours("DensityCoverage", neighbours)
        self.neighbours = neighbours

    def compute(self) -> DensityCoverageValue:
        """Both over all images, in float64."""
        remedy = "Measure more images or pass fewer neighbours."
        real, generated = centred(*self.features(self.neighbours + 1, remedy))
        of_real = contents(real, squared_radii(real, self.neighbours), generated)
        return DensityCoverageValue(
            density=mean_over_images(of_real.balls.double() / self.neighbours),
            coverage=mean_over_images((of_real.points > 0).double()),
        )
