"""How a dataset is cut into training, validation and test images."""

from hashlib import sha256
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lightning_gen.data.sources import Source, names_of
from lightning_gen.errors import UserError


class Split(NamedTuple):
    """Part of a source: the positions of its images, in the order that loaders keep."""

    source: Source
    indices: Tensor

    @classmethod
    def whole(cls, source: Source) -> "Split":
        """All images of a source, shuffled: of a sorted dataset, the first are a fair sample."""
        return cls(source, shuffled(len(source)))


class Cut(NamedTuple):
    """Positions in a dataset, those kept and those held out, both shuffled."""

    kept: Tensor
    held_out: Tensor


def shuffled(count: int) -> Tensor:
    """The numbers below ``count`` in an order that is the same each time."""
    # One fixed seed: runs of other seeds must not be compared on other held-out images.
    return torch.randperm(count, generator=torch.Generator().manual_seed(0))


def cut(count: int, fraction: float, argument: str) -> Cut:
    """Hold out ``fraction`` of ``count`` images, the same ones each time.

    Args:
        count: number of images.
        fraction: share that is held out, at least 0 and below 1.
        argument: the user's name for ``fraction``, for the message.

    Raises:
        UserError: nothing is left to keep, or to hold out although ``fraction`` is not 0.
    """
    num_held_out = round(count * fraction)
    if num_held_out == count or (num_held_out == 0 and fraction > 0):
        raise UserError(
            f"{argument} {fraction} holds out {num_held_out} of {count} images and leaves "
            f"{count - num_held_out} to train on, expected at least one of each. Add images or "
            "change the fraction."
        )
    order = shuffled(count)
    return Cut(order[num_held_out:], order[:num_held_out])


def cut_groups(groups: Tensor, fraction: float, argument: str) -> Cut:
    """Hold out ``fraction`` of groups of images, such as those that look alike, each as a whole.

    Args:
        groups: the number of the group of each image.
        fraction: share of the groups that is held out, at least 0 and below 1.
        argument: the user's name for ``fraction``, for the message.

    Raises:
        UserError: as :func:`cut`.
    """
    numbers, members = torch.unique(groups, return_inverse=True)
    held_out = torch.zeros(len(numbers), dtype=torch.bool)
    held_out[cut(len(numbers), fraction, argument).held_out] = True
    order = shuffled(len(groups))
    apart = held_out[members[order]]
    return Cut(order[~apart], order[apart])


def check_test_fraction(fraction: float) -> None:
    """Raise a UserError where ``fraction`` is no share of images to test on."""
    if not 0 < fraction < 1:
        raise UserError(
            f"data.test_fraction is the share of all images kept for testing, above 0 and below 1, "
            f"got {fraction}. Set it to 0.1."
        )


def digest_of(split: Split) -> str:
    """Eight digits that are others where a split has other files, another order or other labels."""
    source, indices = split
    digest = sha256(repr(names_of(source, indices)).encode("utf-8", "backslashreplace"))
    labels = getattr(source, "labels", None)
    if labels is not None:
        digest.update(labels[indices].cpu().numpy().tobytes())
    return digest.hexdigest()[:8]


def refuse_other_data(then: dict[str, Any], now: dict[str, Any]) -> None:
    """Raise a UserError where the data of a checkpoint is not the data that is to be trained on."""
    changed = [
        f"{name} {then[name]!r} in the checkpoint and {now.get(name)!r} now"
        for name in then
        if then[name] != now.get(name)
    ]
    if changed:
        raise UserError(
            f"the checkpoint was trained on other data: {', '.join(changed)}. Go on with the same "
            "files and data options, or start a new run."
        )
