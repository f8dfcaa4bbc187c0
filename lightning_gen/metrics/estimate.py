"""A measured value and how far it may be off: what every score of the project is."""

from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torchmetrics import Metric


class Estimate(NamedTuple):
    """A value and its standard error, both in the metric's unit.

    The standard error says how much the value would change with other images of the same kind; nan
    where it cannot be said.
    """

    value: Float[Tensor, ""]
    standard_error: Float[Tensor, ""]


class Measure(Metric):
    """A torchmetrics Metric through which no gradient goes, and whose state batches add up to."""

    is_differentiable: bool | None = False
    higher_is_better: bool | None = None
    full_state_update: bool | None = False


class SumsOverImages(Measure):
    """Sums over images, and those of the squares, over batches and processes, in float64.

    Args:
        shape: of what is summed of an image; one number by default.
        kwargs: passed to torchmetrics.Metric.
    """

    total: Float[Tensor, "*shape"]
    total_of_squares: Float[Tensor, "*shape"]
    count: Int[Tensor, ""]

    def __init__(self, *shape: int, **kwargs: Any) -> None:  # noqa: ANN401  (torchmetrics')
        super().__init__(**kwargs)
        zeros = torch.zeros(shape, dtype=torch.float64)
        self.add_state("total", zeros, dist_reduce_fx="sum")
        self.add_state("total_of_squares", zeros.clone(), dist_reduce_fx="sum")
        self.add_state("count", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, values: Float[Tensor, "n *shape"]) -> None:
        """Add the numbers of a batch of images."""
        values = values.double()
        self.total += values.sum(dim=0)
        self.total_of_squares += values.square().sum(dim=0)
        self.count += len(values)


class MeanOverImages(SumsOverImages):
    """The mean of one number an image, over batches and processes.

    Its standard error is the standard deviation over images divided by the root of their number;
    nan for fewer than two images.
    """

    def compute(self) -> Estimate:
        """The mean over all images, and its standard error."""
        mean = self.total / self.count
        spread = (self.total_of_squares / self.count - mean.square()).clamp(min=0)
        # 0 / 0 for a single image
        error = ((self.count > 1) * spread / (self.count - 1)).sqrt()
        return Estimate(mean, error)
