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


class MeanOverImages(Metric):
    """The mean of one number an image, over batches and processes, in float64.

    Its standard error is the standard deviation over images divided by the root of their number;
    nan for fewer than two images.

    Args:
        kwargs: passed to torchmetrics.Metric.
    """

    is_differentiable: bool | None = False
    full_state_update: bool | None = False

    total: Float[Tensor, ""]
    total_of_squares: Float[Tensor, ""]
    count: Int[Tensor, ""]

    def __init__(self, **kwargs: Any) -> None:  # noqa: ANN401  (torchmetrics')
        super().__init__(**kwargs)
        zero = torch.tensor(0.0, dtype=torch.float64)
        self.add_state("total", zero, dist_reduce_fx="sum")
        self.add_state("total_of_squares", zero.clone(), dist_reduce_fx="sum")
        self.add_state("count", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, values: Float[Tensor, " n"]) -> None:
        """Add the numbers of a batch of images."""
        values = values.double()
        self.total += values.sum()
        self.total_of_squares += values.square().sum()
        self.count += len(values)

    def compute(self) -> Estimate:
        """The mean over all images, and its standard error."""
        mean = self.total / self.count
        spread = (self.total_of_squares / self.count - mean.square()).clamp(min=0)
        # 0 / 0 for a single image
        error = ((self.count > 1) * spread / (self.count - 1)).sqrt()
        return Estimate(mean, error)
