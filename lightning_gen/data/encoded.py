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
from lightning_gen.data.decoding import (
    Extremes,
    Unreadable,
    ValueRange,
    decode,
    describe,
    extremes,
    leave_out,
)
from lightning_gen.data.files import Files, in_threads
from lightning_gen.data.sources import TensorSource
from lightning_gen.errors import UserError

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
        value_range: what is black and white in files of more than 8 bits.
    """

    files: Files
    names: Sequence[str]
    shape: ImageShape
    labels: Int[Tensor, " n"]
    factors: Shaped[Tensor, "n f"]
    value_range: ValueRange | None = None

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
        return replace(self, names=names, labels=labels, factors=factors)

    def whole(self, indices: Tensor) -> Tensor:
        """Those of the positions whose images can be read."""
        decoded = [self.decode(index) for index in indices.tolist()]
        return indices[[not isinstance(one, Unreadable) for one in decoded]]

    def decoded(self) -> TensorSource:
        """All images in memory, decoded in threads; unreadable ones are left out with a warning.

        Raises:
            UserError: not one is readable.
        """
        images = torch.empty(len(self), *self.shape, dtype=torch.uint8)
        failures = in_threads(lambda i: self._fill(images[i], i), len(self), "decoding images")
        whole = [number for number, failure in enumerate(failures) if failure is None]
        batch = self.batch(images, torch.arange(len(self)), failures)
        return TensorSource(*batch, [self.names[number] for number in whole])

    def decode(self, index: int) -> NDArray[np.uint8] | Unreadable:
        """The pixels [C, H, W] of one image."""
        try:
            with self.files.open(self.names[index]) as stream:
                return decode(stream, self.shape, self.value_range)
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


def find_extremes(files: Files, names: Sequence[str]) -> list[float]:
    """The smallest and the largest value of files of more than 8 bits; none of files with colours.

    Raises:
        UserError: none can be read, or files with colours do not use the upper of their 16 bits.
    """

    def of(number: int) -> Extremes | Unreadable:
        try:
            with files.open(names[number]) as stream:
                return extremes(stream)
        except Exception as error:  # Pillow raises nearly anything at broken bytes
            return Unreadable.because(names[number], error)

    found = in_threads(of, len(names), "reading the range of values")
    read = [one for one in found if isinstance(one, Extremes)]
    if not read:
        broken = [one for one in found if isinstance(one, Unreadable)]
        raise UserError(f"{describe(broken, len(names))}. Replace or remove them.")
    colours = [one.high for one in read if one.cut]
    if colours and max(colours) < 128:
        raise UserError(
            f"{len(colours)} files have colours of 16 bits, of which only 8 are read, and these go "
            f"up to {max(colours):g} of 255: the images would be nearly black. Convert them to 8 "
            "bits."
        )
    own = np.array([(one.low, one.high) for one in read if not one.cut])
    return [own[:, 0].min().item(), own[:, 1].max().item()] if len(own) else []


def range_of(low: float, high: float) -> ValueRange:
    """0 and the largest number of as many bits as hold ``high``, 1 to 16: 4095 for 3871.

    Raises:
        UserError: the values are negative, larger than 65535, or no numbers.
    """
    if not (low >= 0 and high <= 2**16 - 1):
        raise UserError(
            f"files of more than 8 bits hold values from {low:g} to {high:g}, and which of these "
            "are black and white is not known. Set data.value_range to [black, white]."
        )
    return 0.0, float(next(2**bits - 1 for bits in range(1, 17) if high <= 2**bits - 1))
