"""Random numbers for a batch that several processes share.

Lightning gives every process the same seed, which the order of the images needs. So each draws the
numbers of all, and keeps those of its own images: processes differ, and W of them with N images
each train on the numbers that one would have with W N images. Process r has the images r, r + W,
..., as ``data.loader`` shares them out.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, distributed


def normal_like(tensor: Tensor) -> Tensor:
    """Standard normal numbers [N, ...] for the N rows of ``tensor``, in its type and place."""
    return own_rows(partial(_drawn_like, torch.randn, tensor), len(tensor))


def uniform_like(tensor: Tensor) -> Tensor:
    """Numbers in [0, 1) for the rows of ``tensor``, likewise."""
    return own_rows(partial(_drawn_like, torch.rand, tensor), len(tensor))


def _drawn_like(draw: Callable[..., Tensor], like: Tensor, count: int) -> Tensor:
    return draw((count, *like.shape[1:]), dtype=like.dtype, device=like.device)


def own_rows(draw: Callable[[int], Tensor], count: int) -> Tensor:
    """This process's ``count`` rows of what ``draw`` gives of so many for all processes."""
    rank, world = 0, 1
    if distributed.is_available() and distributed.is_initialized():
        rank, world = distributed.get_rank(), distributed.get_world_size()
    return draw(world * count)[rank::world]
