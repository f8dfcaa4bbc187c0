"""A measured value and how far it may be off: what every score of the project is."""

from typing import ClassVar, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from lightning_gen.errors import UserError


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

    What is summed of an image has a ``shape``; by default it is one number.
    """

    total: Float[Tensor, "*shape"]
    total_of_squares: Float[Tensor, "*shape"]
    count: Int[Tensor, ""]

    def __init__(self, *shape: int) -> None:
        super().__init__()
        zeros = torch.zeros(shape, dtype=torch.float64)
        self.add_state("total", zeros, dist_reduce_fx="sum")
        self.add_state("total_of_squares", zeros.clone(), dist_reduce_fx="sum")
        self.add_state("count", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, values: Float[Tensor, "n *shape"]) -> None:
        """Add the numbers of a batch of images; a UserError where they are of another shape."""
        if values.shape[1:] != self.total.shape:
            name, shape = type(self).__name__, ["images", *self.total.shape]
            raise UserError(f"{name} sums {shape} numbers, got {[*values.shape]}.")
        values = values.double()  # the sums too, in a module that was put into half precision
        self.total = self.total.double() + values.sum(dim=0)
        self.total_of_squares = self.total_of_squares.double() + values.square().sum(dim=0)
        self.count += len(values)


class KeptNumbers(Measure):
    """Keeps numbers of every image, as they are when it is given them; the caller bounds them."""

    names: ClassVar[tuple[str, ...]]
    """Of the states, each with a row an image."""

    def __init__(self) -> None:
        super().__init__()
        for name in self.names:
            self.add_state(name, [], dist_reduce_fx="cat")

    def keep(self, *rows: Tensor) -> None:
        """Add the rows of a batch of images to the states."""
        for name, part in zip(self.names, rows, strict=True):
            getattr(self, name).append(part.detach().clone())

    def kept(self) -> list[Tensor]:
        """The rows of all images in each state; a UserError where there are none."""
        if not all(len(getattr(self, name)) for name in self.names):
            raise UserError(f"{type(self).__name__} has seen no image. Update it first.")
        return [dim_zero_cat(getattr(self, name)) for name in self.names]


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


GROUPS = 20
"""Of a jackknife: its variance has 19 degrees of freedom, so that 1.96 errors cover 93 or 94 %."""


def check_groups(metric: str, groups: int) -> None:
    """Refuse a number of groups that has no meaning."""
    if groups < 0 or groups == 1:
        raise UserError(
            f"{metric}.groups is 2 or more, or 0 for no standard error, got {groups}. "
            f"Pass {GROUPS}."
        )


def jackknife_variance(without: Float[Tensor, "groups *k"]) -> Float[Tensor, "*k"]:
    """The variance of a score by a delete-a-group jackknife (Efron & Tibshirani 1993, chapter 11).

    (g - 1) / g sum_i (s_i - mean s)^2, s_i being the score without the images of group i; the
    variances of independent sets of images are added. It holds for smooth functions of means. Where
    the first order vanishes, as in a squared distance of equal distributions, the error comes out
    too large, by about the root of 2. nan with fewer than two groups.
    """
    if len(without) < 2:
        return without.new_full(without.shape[1:], torch.nan)
    return (len(without) - 1) * without.var(dim=0, correction=0)
