"""A file of decoded images, and the source that reads it.

The pixels are one uint8 array [N, C, H, W] from the first byte on. What follows them, as JSON, is a
checksum of each image and which files could not be read; it is written last and ends with a
checksum of its own, so that a file without it is not whole.
"""

import json
import os
import warnings
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from threading import Lock
from typing import BinaryIO

import numpy as np
import torch
from jaxtyping import Int, Int64, UInt8, UInt32
from torch import Tensor

from lightning_gen.contracts import ImageShape
from lightning_gen.data.decoding import Unreadable, describe, leave_out
from lightning_gen.data.files import in_threads
from lightning_gen.data.sources import EncodedImages, Read, TensorSource
from lightning_gen.errors import UserError
from lightning_gen.progress import progress

PART = 1024
"""Images that are read at a time where all are."""


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
                end = stream.read()
        except FileNotFoundError:
            return None
        words = end[:-8]
        if end[-8:] != _checksum(words):
            return None
        found = json.loads(words)
        pixels = np.memmap(path, np.uint8, "r", shape=(count, *shape))
        unreadable = {int(number): Unreadable(*one) for number, one in found["unreadable"].items()}
        return cls(path, pixels, np.array(found["checksums"], dtype=np.uint32), unreadable)

    def read(self, rows: Int64[np.ndarray, " k"]) -> tuple[UInt8[np.ndarray, "k c h w"], list[int]]:
        """A copy of these images, and which of them are not what was written.

        Each image is compared with its checksum until it has been found right once. At the first
        damage the file is removed, with a warning, so that the next run decodes anew.
        """
        self._ask_ahead(rows)
        images = np.asarray(self.pixels[rows])
        damaged = []
        for position, row in enumerate(rows.tolist()):
            if row in self.verified:
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


@dataclass(frozen=True, kw_only=True)
class CachedImages(EncodedImages):
    """Images that are read from a cache and not decoded; the same batches.

    Attributes:
        rows: where each image is in ``cache``.
        cache: the pixels.
    """

    rows: Int64[np.ndarray, " n"]
    cache: CacheFile

    @classmethod
    def within(cls, images: EncodedImages, rows: Tensor, cache: CacheFile) -> "CachedImages":
        """Those at ``rows`` of all images; unreadable ones are left out, with a warning.

        Raises:
            UserError: not one is readable.
        """
        readable = leave_out([cache.unreadable.get(row) for row in rows.tolist()])
        rows = rows if readable is None else rows[readable]
        return cls(**vars(images.subset(rows)), rows=rows.numpy(), cache=cache)

    @property
    def num_bytes(self) -> int:
        """Memory that all would take."""
        return super().num_bytes + self.labels.nbytes + self.factors.nbytes

    def to(self, device: torch.device) -> TensorSource:
        """The same images in the memory of a device.

        Raises:
            UserError: one is damaged, and its file can no longer be read.
        """
        images, failures = self.read_all(device)
        broken = [failure for failure in failures if failure]
        if broken:
            raise UserError(f"{describe(broken, len(self))}. Start again: they are left out then.")
        return TensorSource(images, self.labels.to(device), self.factors.to(device), self.names)

    def read(self, indices: Int[Tensor, " k"]) -> Read:
        """The images at these positions; damaged ones are decoded again."""
        pixels, damaged = self.cache.read(self.rows[indices.numpy()])
        images = torch.from_numpy(pixels)
        failures: list[Unreadable | None] = [None] * len(indices)
        for position in damaged:
            failures[position] = self.fill(images[position], int(indices[position]))
        return images, failures

    def read_all(self, device: torch.device | None = None) -> Read:
        """All images in the memory of a device, read in parts and with progress."""
        images = torch.empty(len(self), *self.shape, dtype=torch.uint8, device=device)
        failures = []
        with progress(len(self), "reading decoded images") as bar:
            for indices in torch.split(torch.arange(len(self)), PART):
                part, failed = self.read(indices)
                images[indices[0] : indices[-1] + 1] = part
                failures += failed
                bar.update(len(part))
        return images, failures


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
    words = json.dumps({"checksums": checksums, "unreadable": unreadable}).encode()
    stream.seek(images.num_bytes)
    stream.write(words + _checksum(words))
    stream.flush()
    os.fsync(stream.fileno())


def _checksum(words: bytes) -> bytes:
    return f"{zlib.crc32(words):08x}".encode()
