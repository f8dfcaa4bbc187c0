"""The images that are trained, validated and tested on: which, in which order, held where."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

import torch
from jaxtyping import Bool, Int
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor

from lightning_gen.contracts import Batch
from lightning_gen.data.arguments import ImagesOn
from lightning_gen.data.sources import Movable, Source, TensorSource, names_of
from lightning_gen.errors import UserError


@dataclass(frozen=True)
class Split:
    """Some images of a source, which are a source themselves.

    Attributes:
        source: where the images are.
        indices: their positions in ``source``, in the order that loaders keep.
        placed_for: the accelerator that the source was placed for, see :func:`placed`.
    """

    source: Source
    indices: Int[Tensor, " n"]
    placed_for: torch.device | None = None

    @classmethod
    def of(cls, source: Source) -> "Split":
        """All images of a source."""
        return source if isinstance(source, Split) else cls(source, torch.arange(len(source)))

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, indices: Tensor) -> Batch:
        return self.source[self.indices[indices]]

    @property
    def device(self) -> torch.device:
        """Where the batches are made."""
        return self.source.device

    @property
    def names(self) -> list[str | int]:
        """The file of each image, or its place in its dataset."""
        return names_of(self.source, self.indices)

    @property
    def digest(self) -> str:
        """Eight digits that are others where files, their order or their labels are others."""
        digest = sha256(repr(self.names).encode("utf-8", "backslashreplace"))
        labels = getattr(self.source, "labels", None)
        if labels is not None:
            digest.update(labels[self.indices].cpu().numpy().tobytes())
        return digest.hexdigest()[:8]

    def at(self, positions: Tensor) -> "Split":
        """These of the images."""
        return replace(self, indices=self.indices[positions])

    def shuffled(self) -> "Split":
        """The images in another order: of a sorted dataset, the first are a fair sample."""
        return self.at(shuffled(len(self)))

    def binarized(self) -> "Split":
        """The images with pixels of 0 and 255, where they are held in memory."""
        if not isinstance(self.source, TensorSource):
            return self
        return replace(self, source=self.source.binarized())

    def are_of(self, classes: Sequence[int]) -> Bool[Tensor, " n"]:
        """Which of the images are of these classes; all are where none is given."""
        labels = getattr(self.source, "labels", None)
        if not classes or labels is None:
            return torch.ones(len(self), dtype=torch.bool)
        return torch.isin(labels[self.indices], torch.tensor(classes))


def shuffled(count: int) -> Tensor:
    """The numbers below ``count`` in an order that is the same each time."""
    # One fixed seed: runs of other seeds must not be compared on other held-out images.
    return torch.randperm(count, generator=torch.Generator().manual_seed(0))


def cut(groups: Int[Tensor, " n"], fraction: float, argument: str) -> tuple[Tensor, Tensor]:
    """Hold out ``fraction`` of groups of images, the same ones each time, each as a whole.

    What comes back are the positions that are kept and those held out, both shuffled.

    Args:
        groups: the number of the group of each image, such as those that look alike.
        fraction: share of the groups that is held out, at least 0 and below 1.
        argument: the user's name for ``fraction``, for the message.

    Raises:
        UserError: nothing is left to keep, or to hold out although ``fraction`` is not 0.
    """
    numbers, members = torch.unique(groups, return_inverse=True)
    count = len(numbers)
    num_held_out = round(count * fraction)
    if num_held_out == count or (num_held_out == 0 and fraction > 0):
        raise UserError(
            f"{argument} {fraction} holds out {num_held_out} of {count} images and leaves "
            f"{count - num_held_out} to train on, expected at least one of each. Add images or "
            "change the fraction."
        )
    held_out = torch.zeros(count, dtype=torch.bool)
    held_out[shuffled(count)[:num_held_out]] = True
    order = shuffled(len(groups))
    apart = held_out[members[order]]
    return order[~apart], order[apart]


def placed(source: Source, accelerator: torch.device, images_on: ImagesOn, split: str) -> Source:
    """The source where it is to be held; a line says where, if there is a choice.

    Args:
        source: the images.
        accelerator: what the training runs on, which may be the processor.
        images_on: what the user wants.
        split: what to call the images.

    Raises:
        UserError: the user wants them on the accelerator, and they do not fit or are not decoded.
    """
    if not isinstance(source, Movable):
        if images_on == "accelerator" and accelerator.type != "cpu":
            raise UserError(
                f"data.images_on is accelerator, expected a {split} split of decoded images, got "
                "one that is made a batch at a time. Set data.images_on to auto."
            )
        return source
    moves = images_on == "accelerator"
    if accelerator.type == "cuda" and images_on != "cpu":
        taken, (free, _) = source.num_bytes, torch.cuda.mem_get_info(accelerator)
        sizes = f"{taken / 1e6:,.0f} MB, and {free / 1e6:,.0f} MB are free on {accelerator}"
        if moves and taken > free:
            raise UserError(
                f"data.images_on is accelerator, and the {split} images do not fit: they take "
                f"{sizes}. Set it to auto or cpu."
            )
        moves = moves or taken <= free / 2
        where = accelerator if moves else "the processor's side"
        rank_zero_info(f"The {split} images are held on {where}: they take {sizes}.")
    device = accelerator if moves else torch.device("cpu")
    return source if source.device == device else source.to(device)
