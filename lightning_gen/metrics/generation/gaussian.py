"""Gaussians fitted to features, and how far apart two of them are."""

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

Matrix = Float[Tensor, "d d"]


@dataclass(frozen=True)
class FittedGaussian:
    """N(mean, covariance), in float64; the covariance may be singular."""

    mean: Float[Tensor, " d"]
    covariance: Matrix

    @cached_property
    def root(self) -> Matrix:
        """The symmetric square root of the covariance; eigenvalues below 0 are rounding, so 0."""
        values, vectors = torch.linalg.eigh(self.covariance)
        return torch.mm(vectors * values.clamp(min=0).sqrt(), vectors.T)


def frechet_distance(first: FittedGaussian, second: FittedGaussian) -> Float[Tensor, ""]:
    """||m1 - m2||^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)), in squared units of the features.

    Dowson & Landau 1982; at least 0, and 0 for equal Gaussians. C1 C2 has the eigenvalues of
    C1^(1/2) C2 C1^(1/2), which is symmetric, so that the root needs no complex numbers and no
    inverse. An eigenvalue of 0 comes out as about 1e-16 of the largest, and its root counts twice:
    singular covariances leave about 1e-8 of the largest eigenvalue for each missing dimension.
    """
    product = first.root @ second.covariance @ first.root
    overlap = torch.linalg.eigvalsh(product).clamp(min=0).sqrt().sum()
    traces = first.covariance.trace() + second.covariance.trace()
    shift = (first.mean - second.mean).square().sum()
    return torch.clamp(shift + traces - 2 * overlap, min=0)


@dataclass(frozen=True)
class Moments:
    """Number of images, sum of features and sum of outer products, in float64.

    A difference of sums of float64 still sees a variance of 1e-10 of the squared mean.
    """

    count: Tensor
    total: Tensor
    outer: Tensor

    def add(self, group: int, features: Float[Tensor, "n d"]) -> None:
        """Add images to a group, in place; all of the moments have groups as their first axis."""
        self.count[group] += len(features)
        self.total[group] += features.sum(dim=0)
        self.outer[group].addmm_(features.T, features)

    def sum(self) -> "Moments":
        """The moments of all groups together."""
        return Moments(self.count.sum(), self.total.sum(dim=0), self.outer.sum(dim=0))

    def without(self, group: int) -> "Moments":
        """The moments of all groups but one."""
        every = self.sum()
        return Moments(
            every.count - self.count[group],
            every.total - self.total[group],
            every.outer - self.outer[group],
        )

    def gaussian(self) -> FittedGaussian:
        """The Gaussian of ungrouped moments, with the covariance over N - 1."""
        mean = self.total / self.count
        covariance = (self.outer - self.count * torch.outer(mean, mean)) / (self.count - 1)
        return FittedGaussian(mean, covariance)
