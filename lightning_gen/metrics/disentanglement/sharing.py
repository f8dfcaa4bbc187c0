"""Drawing images that share the value of a factor."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor


class Sharing(NamedTuple):
    """For each factor, the images in the order of their values, in runs of one value.

    ``order[k]`` lists the images. Image i stands at ``start[k, i] + place[k, i]``, in a run that
    begins at ``start[k, i]`` and has ``size[k, i]`` images.
    """

    order: Int[Tensor, "f n"]
    start: Int[Tensor, "f n"]
    place: Int[Tensor, "f n"]
    size: Int[Tensor, "f n"]


def sharing(factors: Int[Tensor, "n f"]) -> Sharing:
    """The runs of images with the same value, for every factor."""
    runs = [_of_one_factor(column) for column in factors.T]
    return Sharing(*map(torch.stack, zip(*runs, strict=True)))


def _of_one_factor(factor: Int[Tensor, " n"]) -> tuple[Int[Tensor, " n"], ...]:
    _, number, counts = torch.unique(factor, return_inverse=True, return_counts=True)
    order = number.argsort(stable=True)
    start = (counts.cumsum(dim=0) - counts)[number]
    place = order.argsort() - start
    return order, start, place, counts[number]


def draw_below(limits: Int[Tensor, "*n"], generator: torch.Generator) -> Int[Tensor, "*n"]:
    """A random whole number from 0 to below each limit."""
    uniform = torch.rand(limits.shape, generator=generator, dtype=torch.float64)
    return (uniform * limits).long().clamp(max=limits - 1)


def draw_subsets(
    limits: Int[Tensor, " n"], size: int, generator: torch.Generator
) -> Int[Tensor, "n size"]:
    """``size`` random whole numbers from 0 to below each limit.

    They are distinct (Floyd's algorithm, Bentley & Floyd 1987) where the limit allows it, and drawn
    with replacement where it is smaller than ``size``.
    """
    drawn = draw_below(limits[:, None].expand(-1, size), generator)
    scarce = limits < size
    subsets = torch.empty_like(drawn)
    for i in range(size):
        top = (limits - size + i).clamp(min=0)
        pick = draw_below(top + 1, generator)
        taken = (subsets[:, :i] == pick[:, None]).any(dim=1)
        subsets[:, i] = torch.where(taken, top, pick)
    return torch.where(scarce[:, None], drawn, subsets)


def mean_over_chunks(
    values: Float[Tensor, "n d"], first: Int[Tensor, "m b"], second: Int[Tensor, "m b"]
) -> Float[Tensor, "m d"]:
    """Mean over b of |values[first] - values[second]|, without holding all of them at once."""
    chunks = zip(torch.split(first, 1000), torch.split(second, 1000), strict=True)
    return torch.cat([(values[a] - values[b]).abs().mean(dim=1) for a, b in chunks])
