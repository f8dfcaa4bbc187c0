"""Images in memory (one uint8 tensor, indexed a batch at a time) and parts of any source."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Int, Shaped, UInt8
from torch import Tensor

from lightning_gen.contracts import Batch
from lightning_gen.data.loader import Source
from lightning_gen.errors import UserError


@dataclass(frozen=True)
class TensorSource:
    """A dataset held whole.

    Attributes:
        images: all images.
        labels: the class of each image; zeros where there are none.
        factors: ground-truth factors or attributes; F = 0 where there are none.
    """

    images: UInt8[Tensor, "n c h w"]
    labels: Int[Tensor, " n"]
    factors: Shaped[Tensor, "n f"]

    @classmethod
    def of(cls, images: Tensor, labels: Tensor | None = None) -> "TensorSource":
        """A source without factors; without ``labels`` all images are of class 0."""
        if labels is None:
            labels = torch.zeros(len(images), dtype=torch.int64)
        return cls(images, labels, torch.empty(len(images), 0))

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, indices: Tensor) -> Batch:
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

    def subset(self, indices: Tensor) -> "TensorSource":
        """A copy of the images at these positions."""
        return TensorSource(*self[indices])

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
        return TensorSource(*(t.to(device) for t in (self.images, self.labels, self.factors)))


@dataclass(frozen=True)
class Readable:
    """A source of which some images are left out of their batches.

    How many are left of a batch is for the CPU to know, which on an accelerator it waits for: a
    loader asks once an epoch, by :meth:`kept`.

    Attributes:
        source: all images.
        readable: whether each is kept.
    """

    source: TensorSource
    readable: Bool[Tensor, " n"]

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, indices: Tensor) -> Batch:
        return self.source[self._kept(indices)]

    def kept(self, batches: Sequence[Tensor]) -> list[Tensor]:
        """Of each batch the positions of images that can be read, in ``source``.

        Raises:
            UserError: there are none in one.
        """
        return [self._kept(batch) for batch in batches]

    def _kept(self, indices: Tensor) -> Tensor:
        kept = indices[self.readable[indices]]
        if len(kept) == 0:
            raise UserError(
                f"none of the {len(indices)} images of a batch can be read; expected at least one "
                "whole. Replace or remove them."
            )
        return kept

    @property
    def device(self) -> torch.device:
        """Where the batches are made."""
        return self.source.device

    @property
    def num_bytes(self) -> int:
        """Memory that the images take."""
        return self.source.num_bytes

    def to(self, device: torch.device) -> "Readable":
        """The same images on another device."""
        return Readable(self.source.to(device), self.readable.to(device))


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
