"""A file of decoded images, and the source that reads it.

The pixels are one uint8 array [N, C, H, W] from the first byte on. What follows them, a checksum of
each image and which files could not be read, is written last and has a checksum of its own, so that
a file without it is not whole.
"""

import json
import os
import struct
import warnings
import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO

import numpy as np
import torch
from jaxtyping import Int64, UInt8, UInt32
from torch import Tensor

from lightning_gen.contracts import Batch, ImageShape
from lightning_gen.data.decoding import Unreadable, leave_out
from lightning_gen.data.encoded import EncodedImages
from lightning_gen.data.files import in_threads
from lightning_gen.data.sources import TensorSource
from lightning_gen.progress import progress

PART = 1024
"""Images that are read at a time where all are."""
_END = struct.Struct("<8sII")
"""A name, the bytes of the JSON before it, the crc32 of all after the pixels and before it."""
_NAME = b"lgimages"


@dataclass(frozen=True, eq=False)
class CacheFile:
    """A whole file of decoded images, mapped into memory.

    Attributes:
        path: the file. It may be deleted while it is in use: the map stays.
        pixels: all images; those that are unreadable are black.
        checksums: crc32 of the pixels of each image.
        unreadable: the files that could not be decoded, by the number of their image.
        verified: the images whose checksum this process has compared.
        damage: the numbers of those that were found damaged.
    """

    path: Path
    pixels: UInt8[np.ndarray, "n c h w"]
    checksums: UInt32[np.ndarray, " n"]
    unreadable: Mapping[int, Unreadable]
    verified: set[int] = field(default_factory=set)
    damage: set[int] = field(default_factory=set)

    @classmethod
    def open(cls, path: Path, count: int, shape: ImageShape) -> "CacheFile | None":
        """The file of ``count`` images, where it is there and whole.

        Raises:
            OSError: it may not be read.
        """
        try:
            with path.open("rb") as stream:
                stream.seek(count * prod(shape))
                checksums, failures = _parse(stream.read(), count)
        except (FileNotFoundError, ValueError):
            return None
        pixels = np.memmap(path, np.uint8, "r", shape=(count, *shape))
        unreadable = {int(number): Unreadable(*one) for number, one in failures.items()}
        return cls(path, pixels, checksums, unreadable)

    def read(self, rows: Int64[np.ndarray, " k"]) -> tuple[UInt8[np.ndarray, "k c h w"], list[int]]:
        """A copy of these images, and which of them are not what was written.

        Each image is compared with its checksum until it has been found right once. At the first
        damage the file is removed, with a warning, so that the next run decodes anew.
        """
        self._ask_ahead(rows)
        images = np.asarray(self.pixels[rows])
        damaged = []
        for position, row in enumerate(rows.tolist()):
            if row in self.verified or row in self.unreadable:
                continue
            if zlib.crc32(images[position].data) == int(self.checksums[row]):
                self.verified.add(row)
            else:
                damaged.append(position)
        if damaged and not self.damage:
            with suppress(OSError):
                self.path.unlink()
            warnings.warn(
                f"decoded images in {self.path} are damaged; it is removed, and their files are "
                "decoded again.",
                stacklevel=3,
            )
        self.damage.update(rows[damaged].tolist())
        return images, damaged

    def _ask_ahead(self, rows: Int64[np.ndarray, " k"]) -> None:
        """Let the disk read all these images at once, and not one at a time as they are copied."""
        if not hasattr(os, "posix_fadvise"):  # Linux has it
            return
        size = prod(self.pixels.shape[1:])
        with suppress(OSError), self.path.open("rb") as stream:
            for row in rows.tolist():
                os.posix_fadvise(stream.fileno(), row * size, size, os.POSIX_FADV_WILLNEED)


def write(stream: BinaryIO, images: EncodedImages) -> None:
    """Decode all images into an empty file, in threads, and bring it to the disk.

    Raises:
        OSError: the disk is full, or fails.
    """
    one_writes = Lock()

    def decode(number: int) -> int | Unreadable:
        pixels = images.decode(number)
        if isinstance(pixels, Unreadable):
            return pixels
        content = np.ascontiguousarray(pixels).data
        with one_writes:  # and not through a map, which ends the process on a full disk
            stream.seek(number * content.nbytes)
            stream.write(content)
        return zlib.crc32(content)

    results = in_threads(decode, len(images), "decoding images")
    unreadable = {n: one for n, one in enumerate(results) if isinstance(one, Unreadable)}
    checksums = [0 if isinstance(one, Unreadable) else one for one in results]
    words = json.dumps(unreadable).encode()
    end = np.array(checksums, dtype="<u4").tobytes() + words
    stream.seek(images.num_bytes)
    stream.write(end + _END.pack(_NAME, len(words), zlib.crc32(end)))
    stream.flush()
    os.fsync(stream.fileno())


def _parse(end: bytes, count: int) -> tuple[UInt32[np.ndarray, " n"], dict[str, Any]]:
    """The checksums and the unreadable files that :func:`write` writes behind the pixels.

    Raises:
        ValueError: it is not whole, or of another number of images.
    """
    content = end[: -_END.size]
    name, length, checksum = _END.unpack(end[-_END.size :].rjust(_END.size))
    if name != _NAME or checksum != zlib.crc32(content) or len(content) != 4 * count + length:
        raise ValueError("not a whole cache of decoded images")
    return np.frombuffer(content[: 4 * count], dtype="<u4"), json.loads(content[4 * count :])


@dataclass(frozen=True)
class CachedImages:
    """The images of an :class:`EncodedImages`, read and not decoded; the same batches.

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
        return self.images.batch(torch.from_numpy(pixels), indices, failures)

    @property
    def device(self) -> torch.device:
        """The processor's memory."""
        return torch.device("cpu")

    @property
    def labels(self) -> Tensor:
        """The class of each image."""
        return self.images.labels

    @property
    def names(self) -> Sequence[str]:
        """The file of each image."""
        return self.images.names

    @property
    def num_bytes(self) -> int:
        """Memory that all would take."""
        images = self.images
        return images.num_bytes + images.labels.nbytes + images.factors.nbytes

    def whole(self, indices: Tensor) -> Tensor:
        """Those of the positions whose images can be read."""
        return indices[[failure is None for failure in self._read(indices)[1]]]

    def decoded(self) -> TensorSource:
        """All images in memory; unreadable ones are left out with a warning.

        Raises:
            UserError: not one is readable.
        """
        held = self.to(torch.device("cpu"))
        return held.subset(torch.arange(len(self))) if held.readable is not None else held

    def to(self, device: torch.device) -> TensorSource:
        """The same images in the memory of a device, where unreadable ones keep their place.

        Raises:
            UserError: not one is readable.
        """
        images = self.images
        pixels = torch.empty(len(self), *images.shape, dtype=torch.uint8, device=device)
        failures: list[Unreadable | None] = []
        with progress(len(self), "reading decoded images") as bar:
            for indices in torch.split(torch.arange(len(self)), PART):
                part, failed = self._read(indices)
                pixels[indices[0] : indices[-1] + 1] = torch.from_numpy(part)
                failures += failed
                bar.update(len(part))
        readable = leave_out(failures)
        return TensorSource(
            pixels,
            images.labels.to(device),
            images.factors.to(device),
            images.names,
            None if readable is None else readable.to(device),
        )

    def _read(
        self, indices: Tensor
    ) -> tuple[UInt8[np.ndarray, "k c h w"], list[Unreadable | None]]:
        rows = self.rows[indices.numpy()]
        pixels, damaged = self.cache.read(rows)
        failures = [self.cache.unreadable.get(row) for row in rows.tolist()]
        for position in damaged:
            again = self.images.decode(int(indices[position]))
            if isinstance(again, Unreadable):
                failures[position] = again
            else:
                pixels[position] = again
        return pixels, failures
