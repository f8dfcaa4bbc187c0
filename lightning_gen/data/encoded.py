"""Images that stay encoded files until a batch asks for them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np
import torch
from jaxtyping import Int, Shaped, UInt8
from numpy.typing import NDArray
from torch import Tensor

from lightning_gen.contracts import Batch, ImageShape
from lightning_gen.data.decoding import decode
from lightning_gen.data.files import Files
from lightning_gen.data.sources import TensorSource
from lightning_gen.data.threads import in_threads
from lightning_gen.data.unreadable import Unreadable, leave_out

IN_MEMORY_BYTES = 2**30
"""Up to this many bytes of pixels, a dataset is decoded once and held in memory."""


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
    """

    files: Files
    names: Sequence[str]
    shape: ImageShape
    labels: Int[Tensor, " n"]
    factors: Shaped[Tensor, "n f"]

    @classmethod
    def of(
        cls, files: Files, names: Sequence[str], shape: ImageShape, labels: Tensor | None = None
    ) -> "EncodedImages":
        """A source without factors; without ``labels`` all images are of class 0."""
        if labels is None:
            labels = torch.zeros(len(names), dtype=torch.int64)
        return cls(files, names, shape, labels, torch.empty(len(names), 0))

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, indices: Tensor) -> Batch:
        images = torch.empty(len(indices), *self.shape, dtype=torch.uint8)
        pairs = zip(images, indices.tolist(), strict=True)
        return self.batch(images, indices, [self._fill(image, index) for image, index in pairs])

    @property
    def device(self) -> torch.device:
        """The processor's memory."""
        return torch.device("cpu")

    @property
    def num_bytes(self) -> int:
        """Memory that the decoded pixels take."""
        return len(self) * prod(self.shape)

    @property
    def fits_in_memory(self) -> bool:
        """Whether the decoded pixels take at most ``IN_MEMORY_BYTES``."""
        return self.num_bytes <= IN_MEMORY_BYTES

    def subset(self, indices: Tensor) -> "EncodedImages":
        """The images at these positions."""
        names = [self.names[index] for index in indices.tolist()]
        labels, factors = self.labels[indices], self.factors[indices]
        return EncodedImages(self.files, names, self.shape, labels, factors)

    def with_factors(self, factors: Tensor) -> "EncodedImages":
        """The same images with ground-truth factors [N, F]."""
        return replace(self, factors=factors)

    def decoded(self) -> TensorSource:
        """All images in memory, decoded in threads; unreadable ones are left out with a warning.

        Raises:
            UserError: not one is readable.
        """
        images = torch.empty(len(self), *self.shape, dtype=torch.uint8)
        failures = in_threads(lambda i: self._fill(images[i], i), len(self), "decoding images")
        return TensorSource(*self.batch(images, torch.arange(len(self)), failures))

    def decode(self, index: int) -> NDArray[np.uint8] | Unreadable:
        """The pixels [C, H, W] of one image."""
        try:
            with self.files.open(self.names[index]) as stream:
                return decode(stream, self.shape)
        except Exception as error:  # Pillow raises nearly anything at broken bytes
            return Unreadable.because(self.names[index], error)

    def batch(
        self, images: Tensor, indices: Tensor, failures: Sequence[Unreadable | None]
    ) -> Batch:
        """The batch of these images, without those that failed, which a warning names.

        Raises:
            UserError: all failed.
        """
        readable = leave_out(failures)
        if readable is not None:
            images, indices = images[readable], indices[readable]
        return Batch(images, self.labels[indices], self.factors[indices])

    def _fill(self, image: UInt8[Tensor, "c h w"], index: int) -> Unreadable | None:
        pixels = self.decode(index)
        if isinstance(pixels, Unreadable):
            return pixels
        image.numpy()[:] = pixels
        return None
