"""A source of images that were decoded into a file on disk."""

import warnings
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from lightning_gen.contracts import Batch
from lightning_gen.data.cache_file import CacheFile
from lightning_gen.data.encoded import EncodedImages
from lightning_gen.data.loader import Source
from lightning_gen.data.sources import Readable, TensorSource
from lightning_gen.data.unreadable import Unreadable, leave_out
from lightning_gen.progress import progress

PART = 1024
"""Images that are read at a time where all are."""


@dataclass(frozen=True)
class CachedImages:
    """The images of an :class:`EncodedImages`, read and not decoded; the same batches.

    An image whose pixels are damaged on disk is decoded from its file, with a warning, and mended.

    Attributes:
        images: their labels and factors, and their files.
        rows: where each image is in ``cache``.
        cache: the pixels.
    """

    images: EncodedImages
    rows: Int64[np.ndarray, " n"]
    cache: CacheFile

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, indices: Tensor) -> Batch:
        pixels, failures = self._read(indices)
        return self.images.batch(pixels, indices, failures)

    @property
    def device(self) -> torch.device:
        """The processor's memory."""
        return torch.device("cpu")

    @property
    def num_bytes(self) -> int:
        """Memory that all would take."""
        images = self.images
        return images.num_bytes + images.labels.nbytes + images.factors.nbytes

    def decoded(self) -> TensorSource:
        """All images in memory; unreadable ones are left out with a warning.

        Raises:
            UserError: not one is readable.
        """
        pixels, failures = self._read_all(torch.device("cpu"))
        return TensorSource(*self.images.batch(pixels, torch.arange(len(self)), failures))

    def to(self, device: torch.device) -> Source:
        """The same images in the memory of a device, where unreadable ones keep their place.

        Raises:
            UserError: not one is readable.
        """
        pixels, failures = self._read_all(device)
        held = TensorSource(pixels, self.images.labels.to(device), self.images.factors.to(device))
        readable = leave_out(failures)
        return held if readable is None else Readable(held, readable.to(device))

    def _read_all(
        self, device: torch.device
    ) -> tuple[UInt8[Tensor, "n c h w"], list[Unreadable | None]]:
        pixels = torch.empty(len(self), *self.images.shape, dtype=torch.uint8, device=device)
        failures: list[Unreadable | None] = []
        with progress(len(self), "reading decoded images") as bar:
            for indices in torch.split(torch.arange(len(self)), PART):
                part, failed = self._read(indices)
                pixels[indices[0] : indices[-1] + 1] = part
                failures += failed
                bar.update(len(part))
        return pixels, failures

    def _read(self, indices: Tensor) -> tuple[UInt8[Tensor, "k c h w"], list[Unreadable | None]]:
        rows = self.rows[indices.numpy()]
        pixels = self.cache.read(rows)
        failures = [self.cache.unreadable.get(row) for row in rows.tolist()]
        for position in self.cache.damaged(rows, pixels):
            again = self.images.decode(int(indices[position]))
            warnings.warn(
                f"the pixels of {self.images.names[int(indices[position])]!r} in {self.cache.path} "
                "are damaged; the file is decoded again.",
                stacklevel=3,
            )
            if isinstance(again, Unreadable):
                failures[position] = again
            else:
                pixels[position] = again
                self.cache.mend(int(rows[position]), again)
        return torch.from_numpy(pixels), failures
