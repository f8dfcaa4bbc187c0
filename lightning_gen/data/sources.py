"""Images that are fetched a batch at a time: in memory, in files, or a part of another source."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Int, Shaped, UInt8
from numpy.typing import NDArray
from torch import Tensor

from lightning_gen.contracts import Batch, ImageShape
from lightning_gen.data.decoding import Unreadable, ValueRange, decode, leave_out
from lightning_gen.data.files import Files, attempt, in_threads

Read = tuple[UInt8[Tensor, "k c h w"], list[Unreadable | None]]
"""Images, and why not where one is unreadable."""


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
    """

    images: UInt8[Tensor, "n c h w"]
    labels: Int[Tensor, " n"]
    factors: Shaped[Tensor, "n f"]
    names: Sequence[str | int] | None = None

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
        return TensorSource(*self[indices], names_of(self, indices))

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
        images, labels, factors = (t.to(device) for t in (self.images, self.labels, self.factors))
        return TensorSource(images, labels, factors, self.names)


@dataclass(frozen=True)
class EncodedImages:
    """A source that decodes each batch when it is asked for.

    A file that turns out to be unreadable (a decompression bomb counts as such) is left out of
    its batch, with a warning that names it.

    Attributes:
        files: where the files are.
        names: the file of each image.
        shape: (channels, height, width) that each image is brought to, see :func:`decode`.
        labels: the class of each image.
        factors: ground-truth factors or attributes; F = 0 where there are none.
        value_range: what is black and white in files of more than 8 bits.
    """

    files: Files
    names: Sequence[str]
    shape: ImageShape
    labels: Int[Tensor, " n"]
    factors: Shaped[Tensor, "n f"]
    value_range: ValueRange | None = None
    device = torch.device("cpu")

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, indices: Tensor) -> Batch:
        images, failures = self.read(indices)
        return self._batch(images, indices, failures)

    @property
    def num_bytes(self) -> int:
        """Memory that the decoded images take."""
        return len(self) * prod(self.shape)

    def subset(self, indices: Tensor) -> "EncodedImages":
        """The images at these positions."""
        names = [self.names[index] for index in indices.tolist()]
        labels, factors = self.labels[indices], self.factors[indices]
        return replace(self, names=names, labels=labels, factors=factors)

    def whole(self, indices: Tensor) -> Tensor:
        """Those of the positions whose images can be read."""
        return indices[[failure is None for failure in self.read(indices)[1]]]

    def decoded(self) -> TensorSource:
        """All images in memory; unreadable ones are left out with a warning.

        Raises:
            UserError: not one is readable.
        """
        images, failures = self.read_all()
        batch = self._batch(images, torch.arange(len(self)), failures)
        pairs = zip(self.names, failures, strict=True)
        return TensorSource(*batch, [name for name, failure in pairs if failure is None])

    def decode(self, index: int) -> NDArray[np.uint8] | Unreadable:
        """The pixels [C, H, W] of one image."""
        return attempt(
            self.files, self.names[index], lambda file: decode(file, self.shape, self.value_range)
        )

    def read(self, indices: Int[Tensor, " k"]) -> Read:
        """The images at these positions."""
        images = torch.empty(len(indices), *self.shape, dtype=torch.uint8)
        pairs = zip(images, indices.tolist(), strict=True)
        return images, [self.fill(image, index) for image, index in pairs]

    def read_all(self) -> Read:
        """All images, decoded in threads and with progress."""
        images = torch.empty(len(self), *self.shape, dtype=torch.uint8)
        return images, in_threads(
            lambda index: self.fill(images[index], index), len(self), "decoding images"
        )

    def fill(self, image: UInt8[Tensor, "c h w"], index: int) -> Unreadable | None:
        """Decode an image into ``image``, or say why it cannot be read."""
        pixels = self.decode(index)
        if isinstance(pixels, Unreadable):
            return pixels
        image.numpy()[:] = pixels
        return None

    def _batch(
        self, images: Tensor, indices: Tensor, failures: Sequence[Unreadable | None]
    ) -> Batch:
        """The batch of these images, without those that failed, which a warning names."""
        readable = leave_out(failures)
        if readable is not None:
            images, indices = images[readable], indices[readable]
        return Batch(images, self.labels[indices], self.factors[indices])


def names_of(source: Source, indices: Tensor) -> list[str | int]:
    """The file of each of these images, or its place in its dataset."""
    names: Sequence[str | int] | None = getattr(source, "names", None)
    positions: list[int] = indices.tolist()
    return [*positions] if names is None else [names[position] for position in positions]
