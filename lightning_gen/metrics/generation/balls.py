"""Balls around features that reach to a nearest neighbour, and what lies in them."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

BLOCK = 2**20
"""Distances in memory at once: 8 MiB in float64."""


FeatureRows = Float[Tensor, "n d"]


def centred(
    real: FeatureRows, generated: Float[Tensor, "m d"]
) -> tuple[FeatureRows, Float[Tensor, "m d"]]:
    """Both sets in float64, less the mean of the real one, which no distance depends on."""
    mean = real.double().mean(dim=0)
    return real - mean, generated - mean


def squared_distances(x: FeatureRows, y: Float[Tensor, "m d"]) -> Float[Tensor, "n m"]:
    """||x_i - y_j||^2 as x^2 + y^2 - 2 x.y, for float64.

    The sum is off by about 1e-15 of x^2 + y^2. Points nearer than 1e-6 of their lengths, which is
    how well float32 tells features apart, are one point: their distance is 0, whatever rounding
    leaves.
    """
    squares = x.square().sum(dim=1, keepdim=True) + y.square().sum(dim=1)
    distances = torch.addmm(squares, x, y.T, alpha=-2)
    return distances.masked_fill_(distances < 1e-12 * squares, 0)


@dataclass(frozen=True)
class Balls:
    """The neighbours of each centre among the centres, and the points that are as near.

    From these the balls of parts of the centres and what they hold of parts of the points are told
    without a distance.

    Attributes:
        neighbours: of each centre the nearest others, the nearest first.
        centre: of each pair of a centre and a point near it, the centre.
        point: the point.
        nearer: how many of the centre's neighbours are nearer to it than the point.
        points: how many points there are.
    """

    neighbours: Int[Tensor, "n depth"]
    centre: Int[Tensor, " pairs"]
    point: Int[Tensor, " pairs"]
    nearer: Int[Tensor, " pairs"]
    points: int

    @classmethod
    def of(cls, centres: FeatureRows, points: Float[Tensor, "m d"], depth: int) -> "Balls":
        """Two passes over all distances, a few rows in memory at once; ``depth`` is at most 255."""
        depth = min(depth, len(centres) - 1)
        neighbours, pairs = [], []
        for rows in row_blocks(centres, points):
            among = squared_distances(centres[rows], centres)
            itself = torch.arange(len(among), device=among.device)
            among[itself, itself + rows.start] = -1.0  # before its copies
            nearest = among.topk(depth + 1, largest=False)
            neighbours.append(nearest.indices[:, 1:])
            # Larger by 1e-9 of itself: a copy of the neighbour is no farther by rounding.
            radii = nearest.values[:, 1:] * (1 + 1e-9)
            distances = squared_distances(centres[rows], points)
            row, point = (distances <= radii[:, -1:]).nonzero().T
            nearer = (radii[row] < distances[row, point, None]).sum(dim=1)
            pairs.append(torch.stack([row + rows.start, point, nearer]))
        centre, point, nearer = torch.cat(pairs, dim=1)
        return cls(torch.cat(neighbours), centre, point, nearer, len(points))

    def within(self, depth: int) -> "Balls":
        """The same with fewer neighbours of each centre, and the points as near as these."""
        kept = self.nearer < depth
        near = self.centre[kept], self.point[kept], self.nearer[kept]
        return Balls(self.neighbours[:, :depth], *near, self.points)

    def holds(
        self, k: int, centres: Int[Tensor, " n"], points: Int[Tensor, " m"]
    ) -> Bool[Tensor, " pairs"]:
        """Whether the centre's ball holds the point, each part of the images seen alone.

        A ball reaches to the k-th nearest other centre of its part, its surface included;
        ``centres`` and ``points`` are the numbers of the parts that these belong to.
        """
        closer = (centres[self.neighbours] == centres[:, None]).cumsum(dim=1, dtype=torch.uint8)
        closer = torch.nn.functional.pad(closer, (1, 0)).flatten()
        inside = closer.take(self.centre * (self.neighbours.shape[1] + 1) + self.nearer) < k
        return inside & (centres.take(self.centre) == points.take(self.point))

    def held(self, inside: Bool[Tensor, " pairs"]) -> Bool[Tensor, " m"]:
        """Which points lie in a ball."""
        return inside.new_zeros(self.points).index_fill_(0, self.point[inside], True)

    def holding(self, inside: Bool[Tensor, " pairs"]) -> Bool[Tensor, " n"]:
        """Which balls hold a point."""
        return inside.new_zeros(len(self.neighbours)).index_fill_(0, self.centre[inside], True)


def row_blocks(x: FeatureRows, y: Float[Tensor, "m d"]) -> Iterator[slice]:
    """Rows of x whose distances to all of x and all of y are in memory at once."""
    height = max(1, BLOCK // max(len(x), len(y)))
    return (slice(first, first + height) for first in range(0, len(x), height))
