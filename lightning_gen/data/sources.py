"""Images that are fetched a batch at a time: in memory, or a part of another source."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Int, Shaped, UInt8
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor

from lightning_gen.contracts import Batch
from lightning_gen.errors import UserError

ImagesOn = Literal["auto", "cpu", "accelerator"]
"""Where images are held: "auto" is the accelerator if they take at most half of what is free."""


@runtime_checkable
class Source(Protocol):
    """Images that are fetched a whole batch at a time, as uint8."""

    @property
    def device(self) -> torch.device:
        """Where the batches are made."""

    def __len__(self) -> int:
        """How many images there are."""

    def __getitem__(self, indices: Tensor) -> Batch:
        """The batch at these positions."""


@runtime_checkable
class LeavesOut(Source, Protocol):
    """A source that leaves images that cannot be read out of their batches."""

    def whole(self, indices: Tensor) -> Tensor:
        """Those of the positions whose images can be read."""


@runtime_checkable
class Movable(Source, Protocol):
    """A source that can be held on any device."""

    @property
    def num_bytes(self) -> int:
        """Memory that it takes there."""

    def to(self, device: torch.device) -> Source:
        """The same images there."""


@dataclass(frozen=True)
class TensorSource:
    """A dataset held whole, as one tensor.

    Attributes:
        images: all images.
        labels: the class of each image; zeros where there are none.
        factors: ground-truth factors or attributes; F = 0 where there are none.
        names: the file of each image, or its place in the dataset; None where that is its place
            here.
        readable: whether each image could be read; None where all could.
    """

    images: UInt8[Tensor, "n c h w"]
    labels: Int[Tensor, " n"]
    factors: Shaped[Tensor, "n f"]
    names: Sequence[str | int] | None = None
    readable: Bool[Tensor, " n"] | None = None

    @classmethod
    def of(cls, images: Tensor, labels: Tensor | None = None) -> "TensorSource":
        """A source without factors; without ``labels`` all images are of class 0."""
        if labels is None:
            labels = torch.zeros(len(images), dtype=torch.int64)
        return cls(images, labels, torch.empty(len(images), 0))

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, indices: Tensor) -> Batch:
        indices = self.whole(indices)
        # On the CPU index_select copies whole images, three times as fast as self.images[indices].
        return Batch(
            self.images.index_select(0, indices),
            self.labels.index_select(0, indices),
            self.factors.index_select(0, indices),
        )

    @property
    def device(self) -> torch.device:
        """Where the tensors are."""
        return self.images.device

    @property
    def num_bytes(self) -> int:
        """Memory that the tensors take."""
        return sum(t.nbytes for t in (self.images, self.labels, self.factors))

    def whole(self, indices: Tensor) -> Tensor:
        """Those of the positions whose images can be read.

        Raises:
            UserError: there are none.
        """
        if self.readable is None:
            return indices
        kept = indices[self.readable[indices]]
        if len(kept) == 0:
            raise UserError(
                f"none of the {len(indices)} images of a batch can be read; expected at least one "
                "whole. Replace or remove them."
            )
        return kept

    def subset(self, indices: Tensor) -> "TensorSource":
        """A copy of the images at these positions."""
        images, labels, factors = self[indices]
        return TensorSource(images, labels, factors, names_of(self, self.whole(indices)))

    def binarized(self) -> "TensorSource":
        """A copy whose pixels are 0 or 255, 255 with probability pixel / 255; always one draw."""
        generator = torch.Generator().manual_seed(0)
        images = torch.empty_like(self.images)
        for grey, binary in zip(
            torch.split(self.images, 4096), torch.split(images, 4096), strict=True
        ):
            noise = torch.rand(grey.shape, generator=generator)
            binary.copy_((255 * noise < grey) * 255)
        return replace(self, images=images)

    def to(self, device: torch.device) -> "TensorSource":
        """The same dataset on another device."""
        return replace(
            self,
            images=self.images.to(device),
            labels=self.labels.to(device),
            factors=self.factors.to(device),
            readable=None if self.readable is None else self.readable.to(device),
        )


@dataclass(frozen=True)
class Subset:
    """Some images of a source.

    Attributes:
        source: where the images are.
        indices: the positions in ``source``, in the order of this one.
    """

    source: Source
    indices: Int[Tensor, " n"]

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, indices: Tensor) -> Batch:
        return self.source[self.indices[indices]]

    @property
    def device(self) -> torch.device:
        """Where the batches are made."""
        return self.source.device


def names_of(source: Source, indices: Tensor) -> list[str | int]:
    """The file of each of these images, or its place in its dataset."""
    if isinstance(source, Subset):
        return names_of(source.source, source.indices[indices])
    names: Sequence[str | int] | None = getattr(source, "names", None)
    positions: list[int] = indices.tolist()
    return [*positions] if names is None else [names[position] for position in positions]


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
    if isinstance(source, Subset) and isinstance(source.source, Movable):
        whole = placed(source.source, accelerator, images_on, split)
        return Subset(whole, source.indices.to(whole.device))
    if not isinstance(source, Movable):
        if images_on == "accelerator" and accelerator.type != "cpu":
            raise UserError(
                f"data.images_on is accelerator, expected a {split} split of decoded images, got "
                "one that is made a batch at a time. Set data.images_on to auto."
            )
        return source
    device = _device_for(source, accelerator, images_on, split)
    return source if source.device == device else source.to(device)


def _device_for(
    source: Movable, accelerator: torch.device, images_on: ImagesOn, split: str
) -> torch.device:
    cpu = torch.device("cpu")
    wanted = images_on == "accelerator"
    if accelerator.type == "cpu" or images_on == "cpu":
        return cpu
    if accelerator.type != "cuda":  # whose free memory is not known
        return accelerator if wanted else cpu
    taken, (free, _) = source.num_bytes, torch.cuda.mem_get_info(accelerator)
    sizes = f"{taken / 1e6:,.0f} MB, and {free / 1e6:,.0f} MB are free on {accelerator}"
    if wanted and taken > free:
        raise UserError(
            f"data.images_on is accelerator, and the {split} images do not fit: they take {sizes}. "
            "Set it to auto or cpu."
        )
    fits = wanted or taken <= free / 2
    where = accelerator if fits else "the processor's side"
    rank_zero_info(f"The {split} images are held on {where}: they take {sizes}.")
    return accelerator if fits else cpu
