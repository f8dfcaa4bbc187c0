"""Random numbers for a batch that several processes share.

Lightning gives every process the same seed, which the order of the images needs. So each draws the
numbers of all, and keeps those of its own images: processes differ, and W of them with N images
each train on the numbers that one would have with W N images. Process r has the images r, r + W,
..., as ``data.loader`` shares them out.
"""

from collections.abc import Callable

import torch
from torch import Tensor, distributed


def normal_like(tensor: Tensor) -> Tensor:
    """Standard normal numbers [N, ...] for the N rows of ``tensor``, in its type and place."""
    return _own_rows(torch.randn, tensor)


def uniform_like(tensor: Tensor) -> Tensor:
    """Numbers in [0, 1) for the rows of ``tensor``, likewise."""
    return _own_rows(torch.rand, tensor)


def _own_rows(draw: Callable[..., Tensor], like: Tensor) -> Tensor:
    rank, world = 0, 1
    if distributed.is_available() and distributed.is_initialized():
        rank, world = distributed.get_rank(), distributed.get_world_size()
    shape = (world * len(like), *like.shape[1:])
    return draw(shape, dtype=like.dtype, device=like.device)[rank::world]
