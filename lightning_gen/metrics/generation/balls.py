"""Balls around features that reach to a nearest neighbour, and what lies in them."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lightning_gen.metrics.estimate import Estimate

BLOCK = 2**20
"""Distances in memory at once: 8 MiB in float64."""

Points = Float[Tensor, "n d"]
Radii = Float[Tensor, " n"]


class Contents(NamedTuple):
    """How many balls hold each point, and how many points each ball holds."""

    balls: Int[Tensor, " m"]
    points: Int[Tensor, " n"]


def centred(real: Points, generated: Float[Tensor, "m d"]) -> tuple[Points, Float[Tensor, "m d"]]:
    """Both sets in float64, less the mean of the real one, which no distance depends on."""
    mean = real.double().mean(dim=0)
    return real - mean, generated - mean


def squared_distances(x: Points, y: Float[Tensor, "m d"]) -> Float[Tensor, "n m"]:
    """||x_i - y_j||^2 as x^2 + y^2 - 2 x.y, for float64.

    The sum is off by about 1e-15 of x^2 + y^2. Points nearer than 1e-6 of their lengths, which is
    how well float32 tells features apart, are one point: their distance is 0, whatever rounding
    leaves.
    """
    squares = x.square().sum(dim=1, keepdim=True) + y.square().sum(dim=1)
    distances = torch.addmm(squares, x, y.T, alpha=-2)
    return distances.masked_fill_(distances < 1e-12 * squares, 0)


def squared_radii(points: Points, neighbours: int) -> Radii:
    """The squared distance from each point to its k-th nearest neighbour, itself not counted.

    Larger by 1e-9 of itself, so that a copy of that neighbour is inside, whatever rounding leaves.
    """
    radii = points.new_empty(len(points))
    for rows in _blocks(points, points):
        distances = squared_distances(points[rows], points)
        nearest = distances.topk(neighbours + 1, largest=False, sorted=False).values
        radii[rows] = nearest.amax(dim=1)
    return radii * (1 + 1e-9)


def contents(centres: Points, squared_radii: Radii, points: Float[Tensor, "m d"]) -> Contents:
    """Which points lie in which balls, their surfaces included."""
    balls = torch.zeros(len(points), dtype=torch.int64, device=points.device)
    held = torch.zeros(len(centres), dtype=torch.int64, device=points.device)
    for rows in _blocks(centres, points):
        inside = squared_distances(centres[rows], points) <= squared_radii[rows, None]
        balls += inside.sum(dim=0)
        held[rows] = inside.sum(dim=1)
    return Contents(balls, held)


def mean_over_images(values: Float[Tensor, " n"]) -> Estimate:
    """The mean of one number an image, and the standard error of the mean; in float64."""
    values = values.double()
    return Estimate(values.mean(), values.std() / len(values) ** 0.5)


def _blocks(x: Points, y: Float[Tensor, "m d"]) -> Iterator[slice]:
    """Rows of x whose distances to all of y are in memory at once."""
    height = max(1, BLOCK // len(y))
    return (slice(first, first + height) for first in range(0, len(x), height))
