"""Images that stay encoded files until a batch asks for them."""

import os
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from math import prod
from typing import NamedTuple, TypeVar

import torch
from jaxtyping import Int, Shaped, UInt8
from torch import Tensor

from lightning_gen.contracts import Batch, ImageShape
from lightning_gen.data.decoding import decode
from lightning_gen.data.files import Files
from lightning_gen.data.sources import TensorSource
from lightning_gen.errors import UserError
from lightning_gen.progress import progress

IN_MEMORY_BYTES = 2**30
"""Up to this many bytes of pixels, a dataset is decoded once and held in memory."""

T = TypeVar("T")


class Unreadable(NamedTuple):
    """A file that is no readable image, and why."""

    name: str
    reason: str

    @classmethod
    def because(cls, name: str, error: Exception) -> "Unreadable":
        """The file that raised ``error``."""
        return cls(name, " ".join(f"{type(error).__name__}: {error}".split()))


def describe(broken: Sequence[Unreadable], count: int) -> str:
    """One line about the ``broken`` ones of ``count`` files; the first three by name."""
    first = ", ".join(f"{name!r} ({reason})" for name, reason in broken[:3])
    more = f" and {len(broken) - 3} more" if len(broken) > 3 else ""
    return f"{len(broken)} of {count} images cannot be read: {first}{more}"


def in_threads(task: Callable[[int], T], count: int, description: str) -> list[T]:
    """``task`` of each of 0 to ``count - 1``, in order, with progress when it takes seconds."""
    results: list[T] = []
    with progress(count, description) as bar, ThreadPoolExecutor(os.cpu_count()) as threads:
        for start in range(0, count, 1024):  # an interrupt waits for one part, not for all
            part = range(start, min(start + 1024, count))
            results += threads.map(task, part)
            bar.update(len(part))
    return results


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
        return self._batch(images, indices, [self._decode(index, image) for image, index in pairs])

    @property
    def device(self) -> torch.device:
        """The processor's memory."""
        return torch.device("cpu")

    @property
    def fits_in_memory(self) -> bool:
        """Whether the decoded pixels take at most ``IN_MEMORY_BYTES``."""
        return len(self) * prod(self.shape) <= IN_MEMORY_BYTES

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
        failures = in_threads(lambda i: self._decode(i, images[i]), len(self), "decoding images")
        return TensorSource(*self._batch(images, torch.arange(len(self)), failures))

    def _decode(self, index: int, out: UInt8[Tensor, "c h w"]) -> Unreadable | None:
        try:
            with self.files.open(self.names[index]) as stream:
                pixels = decode(stream, self.shape)
        except Exception as error:  # Pillow raises nearly anything at broken bytes
            return Unreadable.because(self.names[index], error)
        out.numpy()[:] = pixels
        return None

    def _batch(
        self, images: Tensor, indices: Tensor, failures: Sequence[Unreadable | None]
    ) -> Batch:
        broken = [failure for failure in failures if failure]
        if broken:
            message = describe(broken, len(failures))
            if len(broken) == len(failures):
                raise UserError(f"{message}; expected at least one whole. Replace or remove them.")
            warnings.warn(f"{message}; they are left out.", stacklevel=3)
            readable = torch.tensor([failure is None for failure in failures])
            images, indices = images[readable], indices[readable]
        return Batch(images, self.labels[indices], self.factors[indices])
