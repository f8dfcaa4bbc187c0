"""How a dataset is cut into training, validation and test images."""

from typing import NamedTuple

import torch
from torch import Tensor

from lightning_gen.data.loader import Source
from lightning_gen.errors import UserError


class Split(NamedTuple):
    """Part of a source."""

    source: Source
    indices: Tensor

    @classmethod
    def whole(cls, source: Source) -> "Split":
        """All images of a source."""
        return cls(source, torch.arange(len(source)))


class Cut(NamedTuple):
    """Positions in a dataset: those kept and those held out."""

    kept: Tensor
    held_out: Tensor


def cut(count: int, fraction: float, argument: str, *, ascending: bool = True) -> Cut:
    """Hold out ``fraction`` of ``count`` images, the same ones each time.

    Args:
        count: number of images.
        fraction: share that is held out, at least 0 and below 1.
        argument: the user's name for ``fraction``, for the message.
        ascending: keep the dataset's order in both; otherwise both are shuffled, so that the first
            so many images of either are a fair sample of a dataset that is sorted.

    Raises:
        UserError: nothing is left to keep, or to hold out although ``fraction`` is not 0.
    """
    # One fixed seed: runs of other seeds must not be compared on other held-out images.
    order = torch.randperm(count, generator=torch.Generator().manual_seed(0))
    num_held_out = round(count * fraction)
    if num_held_out == count or (num_held_out == 0 and fraction > 0):
        raise UserError(
            f"{argument} {fraction} holds out {num_held_out} of {count} images and leaves "
            f"{count - num_held_out} to train on, expected at least one of each. Add images or "
            "change the fraction."
        )
    parts = Cut(order[num_held_out:], order[:num_held_out])
    return Cut(*(part.sort().values for part in parts)) if ascending else parts


def check_test_fraction(fraction: float) -> None:
    """Raise a UserError where ``fraction`` is no share of images to test on."""
    if not 0 < fraction < 1:
        raise UserError(
            f"data.test_fraction is the share of all images kept for testing, above 0 and below 1, "
            f"got {fraction}. Set it to 0.1."
        )
