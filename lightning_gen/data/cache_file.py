"""A file of decoded images: their pixels, then a checksum of each, then what it is of.

The pixels are one uint8 array [N, C, H, W] from the first byte on. What follows them is written
last and has a checksum of its own, so that a file without it is not whole.
"""

import json
import os
import struct
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from jaxtyping import Bool, Int64, UInt8, UInt32

from lightning_gen.contracts import ImageShape
from lightning_gen.data.unreadable import Unreadable

_END = struct.Struct("<8sII")
"""A name, the bytes of the JSON before it, the crc32 of all after the pixels and before it."""
_NAME = b"lgimages"


@dataclass(frozen=True)
class Identity:
    """What a cache is of; two caches of the same identity hold the same pixels.

    Attributes:
        place: the folder or the archive of the files.
        files: a digest of their names, sizes and times of change.
        decoder: the versions of what decoded them.
        count: number of images.
        shape: (channels, height, width) of each.
    """

    place: str
    files: str
    decoder: str
    count: int
    shape: ImageShape

    @property
    def image_bytes(self) -> int:
        """Bytes of the pixels of one image."""
        return prod(self.shape)

    @property
    def num_bytes(self) -> int:
        """Bytes of all pixels."""
        return self.count * self.image_bytes


@dataclass(frozen=True, eq=False)
class CacheFile:
    """A whole file of decoded images, mapped into memory.

    Attributes:
        path: the file. It may be deleted while it is in use: the map stays.
        pixels: all images; those that are unreadable are black.
        checksums: crc32 of the pixels of each image.
        unreadable: the files that could not be decoded, by the number of their image.
        verified: the images whose checksum this process has compared.
    """

    path: Path
    pixels: UInt8[np.ndarray, "n c h w"]
    checksums: UInt32[np.ndarray, " n"]
    unreadable: Mapping[int, Unreadable]
    verified: Bool[np.ndarray, " n"] = field(repr=False)

    @classmethod
    def open(cls, path: Path, identity: Identity) -> "CacheFile | None":
        """The file where it is there, whole, and of this identity.

        Raises:
            OSError: it may not be read.
        """
        try:
            with path.open("rb") as stream:
                stream.seek(identity.num_bytes)
                checksums, rest = _parse(stream.read(), identity.count)
        except (FileNotFoundError, ValueError):
            return None
        if rest.get("identity") != json.loads(json.dumps(asdict(identity))):
            return None
        pixels = np.memmap(path, np.uint8, "r", shape=(identity.count, *identity.shape))
        unreadable = {int(number): Unreadable(*one) for number, one in rest["unreadable"].items()}
        return cls(path, pixels, checksums, unreadable, np.zeros(identity.count, dtype=np.bool_))

    def read(self, rows: Int64[np.ndarray, " k"]) -> UInt8[np.ndarray, "k c h w"]:
        """A copy of these images."""
        self._ask_ahead(rows)
        return np.asarray(self.pixels[rows])

    def damaged(
        self, rows: Int64[np.ndarray, " k"], images: UInt8[np.ndarray, "k c h w"]
    ) -> list[int]:
        """Which of the images that were read from ``rows`` are not what was written.

        Each image is compared with its checksum until it has been found right once.
        """
        found = []
        for position in np.flatnonzero(~self.verified[rows]).tolist():
            row = int(rows[position])
            whole = row in self.unreadable or self._is_whole(row, images[position])
            self.verified[row] = whole
            if not whole:
                found.append(position)
        return found

    def mend(self, row: int, image: UInt8[np.ndarray, "c h w"]) -> None:
        """Write an image anew, where the file can be written and ``image`` is what was there."""
        if self._is_whole(row, image):
            with suppress(OSError), self.path.open("r+b") as stream:
                write_image(stream.fileno(), row, image)

    def _is_whole(self, row: int, image: UInt8[np.ndarray, "c h w"]) -> bool:
        return zlib.crc32(np.ascontiguousarray(image).data) == int(self.checksums[row])

    def _ask_ahead(self, rows: Int64[np.ndarray, " k"]) -> None:
        """Let the disk read all these images at once, and not one at a time as they are copied."""
        if not hasattr(os, "posix_fadvise"):  # Linux has it
            return
        size = prod(self.pixels.shape[1:])
        with suppress(OSError), self.path.open("rb") as stream:
            for row in rows.tolist():
                os.posix_fadvise(stream.fileno(), row * size, size, os.POSIX_FADV_WILLNEED)


def write_image(descriptor: int, row: int, image: UInt8[np.ndarray, "c h w"]) -> int:
    """Write the pixels of an image to its place in an open file; their checksum.

    They are written and not mapped: on a full disk, a map ends the process.

    Raises:
        OSError: the disk is full, or fails.
    """
    content = np.ascontiguousarray(image).data.cast("B")
    checksum, place = zlib.crc32(content), row * len(content)
    while content:
        written = os.pwrite(descriptor, content, place)
        content, place = content[written:], place + written
    return checksum


def write_end(
    stream: BinaryIO,
    identity: Identity,
    checksums: UInt32[np.ndarray, " n"],
    unreadable: Mapping[int, Unreadable],
) -> None:
    """Write what follows the pixels, and bring the whole file to the disk."""
    about = {"identity": asdict(identity), "unreadable": unreadable}
    words = json.dumps(about).encode()
    end = checksums.astype("<u4").tobytes() + words
    stream.seek(identity.num_bytes)
    stream.write(end + _END.pack(_NAME, len(words), zlib.crc32(end)))
    stream.flush()
    os.fsync(stream.fileno())


def _parse(end: bytes, count: int) -> tuple[UInt32[np.ndarray, " n"], dict[str, Any]]:
    """The checksums and the rest of what :func:`write_end` writes.

    Raises:
        ValueError: it is not whole, or of another number of images.
    """
    content = end[: -_END.size]
    name, length, checksum = _END.unpack(end[-_END.size :].rjust(_END.size))
    if name != _NAME or checksum != zlib.crc32(content) or len(content) != 4 * count + length:
        raise ValueError("not a whole cache of decoded images")
    return np.frombuffer(content[: 4 * count], dtype="<u4"), json.loads(content[4 * count :])
