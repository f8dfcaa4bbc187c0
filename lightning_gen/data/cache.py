"""Image files as a source of images: decoded batch by batch, or once into a file on disk.

Below the folder of all caches lies a folder for each folder or archive of images, and in it one
file for each size. All of it may be deleted at any time: a run that reads a file keeps it until it
ends, and the next run decodes anew.

In a file the pixels are one uint8 array [N, C, H, W] from the first byte on. What follows them, as
JSON, is a checksum of each image and which files could not be read; it is written last and ends
with a checksum of its own, so that a file without it is not whole.
"""

import errno
import json
import os
import re
import shutil
import warnings
import zlib
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from math import prod
from pathlib import Path
from threading import Lock

import numpy as np
import PIL
import torch
from filelock import FileLock, Timeout
from jaxtyping import Int, Shaped, UInt8, UInt32
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn
from numpy.typing import NDArray
from torch import Tensor

from lightning_gen.contracts import Batch, ImageShape
from lightning_gen.data.decoding import FolderFiles, ValueRange, attempt, decode_image
from lightning_gen.data.loader import CPU, TensorSource
from lightning_gen.data.unreadable import Unreadable, describe, leave_out
from lightning_gen.errors import UserError
from lightning_gen.progress import in_threads, progress

AUTO = "auto"
PART = 1024
"""Images read at a time when all are read."""
SPARE_BYTES = 2**30
"""So much room is left on the disk of a cache."""
DECODER = f"1-pillow{PIL.__version__}"
"""Raise the number where :func:`~lightning_gen.data.decoding.decode_image` gives other pixels."""
ENDING = ".pixels"

Read = tuple[UInt8[Tensor, "k c h w"], list[Unreadable | None]]
"""Images, and why not where one is unreadable."""


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

    files: FolderFiles
    names: Sequence[str]
    shape: ImageShape
    labels: Int[Tensor, " n"]
    factors: Shaped[Tensor, "n f"]
    value_range: ValueRange | None = None
    device = CPU

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, indices: Tensor) -> Batch:
        images, failures = self.read(indices)
        if any(failures):
            readable = leave_out(failures)
            images, indices = images[readable], indices[readable]
        return Batch(images, self.labels[indices], self.factors[indices])

    @property
    def num_bytes(self) -> int:
        """Memory that the decoded images take."""
        return len(self) * prod(self.shape)

    def whole(self, indices: Tensor) -> Tensor:
        """Those of the positions whose images can be read."""
        return indices[[failure is None for failure in self.read(indices)[1]]]

    def decoded(self) -> tuple[TensorSource, list[Unreadable | None]]:
        """All images in memory, read in threads; what cannot be read is black."""
        images = torch.zeros(len(self), *self.shape, dtype=torch.uint8)
        failures = in_threads(
            lambda index: self.fill(images[index], index), len(self), "reading images"
        )
        return TensorSource(images, self.labels, self.factors, self.names), failures

    def decode(self, index: int) -> NDArray[np.uint8] | Unreadable:
        """The pixels [C, H, W] of one image."""
        return attempt(
            self.files,
            self.names[index],
            lambda file: decode_image(file, self.shape, self.value_range),
        )

    def read(self, indices: Int[Tensor, " k"]) -> Read:
        """The images at these positions."""
        images = torch.empty(len(indices), *self.shape, dtype=torch.uint8)
        pairs = zip(images, indices.tolist(), strict=True)
        return images, [self.fill(image, index) for image, index in pairs]

    def fill(self, image: UInt8[Tensor, "c h w"], index: int) -> Unreadable | None:
        """Decode an image into ``image``, or say why it cannot be read."""
        pixels = self.decode(index)
        if isinstance(pixels, Unreadable):
            return pixels
        image.numpy()[:] = pixels
        return None


@dataclass(frozen=True, kw_only=True, eq=False)
class CachedImages(EncodedImages):
    """Images that are read from a cache; what was unreadable when it was built is not tried.

    Attributes:
        path: the file. It may be deleted while it is in use: the map stays.
        pixels: all images, mapped into memory; those that are unreadable are black.
        checksums: crc32 of the pixels of each image.
        unreadable: the files that could not be decoded, by the number of their image.
        verified: the images whose checksum this process has compared.
    """

    path: Path
    pixels: UInt8[np.ndarray, "n c h w"]
    checksums: UInt32[np.ndarray, " n"]
    unreadable: Mapping[int, Unreadable]
    verified: set[int] = field(default_factory=set)

    @classmethod
    def open(cls, path: Path, images: EncodedImages) -> "CachedImages | None":
        """The images as they are in a file, where that is there and whole.

        An OSError says that it may not be read.
        """
        try:
            with path.open("rb") as stream:
                stream.seek(images.num_bytes)
                end = stream.read()
        except FileNotFoundError:
            return None
        words = end[:-8]
        if end[-8:] != _checksum(words):
            return None
        found = json.loads(words)
        pixels = np.memmap(path, np.uint8, "r", shape=(len(images), *images.shape))
        return cls(
            **vars(images),
            path=path,
            pixels=np.asarray(pixels),
            checksums=np.array(found["checksums"], dtype=np.uint32),
            unreadable={int(n): Unreadable(*one) for n, one in found["unreadable"].items()},
        )

    def to(self, device: torch.device) -> TensorSource:
        """The same images in the memory of a device, to which they are read in parts.

        A UserError says that one is damaged, and its file can no longer be read.
        """
        images = torch.empty(len(self), *self.shape, dtype=torch.uint8, device=device)
        broken: list[Unreadable] = []
        known = {each.name for each in self.unreadable.values()}
        with progress(len(self), "reading decoded images") as bar:
            for indices in torch.split(torch.arange(len(self)), PART):
                images[indices[0] : indices[-1] + 1], failures = self.read(indices)
                broken += (each for each in failures if each and each.name not in known)
                bar.update(len(indices))
        if broken:
            raise UserError(f"{describe(broken, len(self))}. Start again: they are left out then.")
        return TensorSource(images, self.labels.to(device), self.factors.to(device), self.names)

    def read(self, indices: Int[Tensor, " k"]) -> Read:
        """The images at these positions, which the disk is asked for at once."""
        numbers = indices.tolist()
        if hasattr(os, "posix_fadvise"):  # Linux has it
            size = prod(self.shape)
            with suppress(OSError), self.path.open("rb") as stream:
                for number in numbers:
                    os.posix_fadvise(stream.fileno(), number * size, size, os.POSIX_FADV_WILLNEED)
        images = torch.from_numpy(self.pixels[indices.numpy()])
        failures: list[Unreadable | None] = [None] * len(numbers)
        for place, number in enumerate(numbers):
            if number not in self.verified:
                failures[place] = self._verify(images[place], number)
        return images, failures

    def fill(self, image: UInt8[Tensor, "c h w"], index: int) -> Unreadable | None:
        """Copy an image into ``image``, or say why it cannot be read."""
        image.numpy()[:] = self.pixels[index]
        return self._verify(image, index)

    def _verify(self, copy: UInt8[Tensor, "c h w"], index: int) -> Unreadable | None:
        """Decode an image anew whose copy is damaged; the next run decodes all of them."""
        if index in self.unreadable:
            return self.unreadable[index]
        if zlib.crc32(copy.numpy().data) == int(self.checksums[index]):
            self.verified.add(index)
            return None
        with suppress(OSError):  # it is gone where an earlier damage was told
            self.path.unlink()
            warnings.warn(f"{self.path} has damaged images: it is removed", stacklevel=2)
        return super().fill(copy, index)


def cache_folder(cache: str | None) -> Path | None:
    """The folder of all caches: ``cache``, or the user's own for "auto"; None for none.

    Raises:
        UserError: ``cache`` is below a home that nobody knows.
    """
    if cache is None:
        return None
    home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    folder = Path(home) / "lightning_gen" if cache == AUTO else Path(cache)
    try:
        return folder.expanduser().absolute()
    except RuntimeError as error:
        if cache == AUTO:  # a container's user without a home
            return None
        raise UserError(f"data.cache {cache!r}: {error}. Set it to a whole path.") from error


def open_or_build(images: EncodedImages, folder: Path) -> CachedImages | None:
    """The images as a file below ``folder``, decoded into it where it is not there yet.

    It is of these files, as large and as old as they are, of this shape, range and decoder; else
    another file is built. Of several processes that start at once, one builds and the others wait.
    None, with a warning, where the folder cannot be written or its disk has no room.
    """
    state = images.files.state(images.names)[:16]
    shape = "x".join(map(str, images.shape))
    scale = "".join(f"-{value:g}" for value in images.value_range or ())
    path = folder_of(folder, images.files) / f"{state}-{shape}-{DECODER}{scale}{ENDING}"
    try:
        found = _usable(path, images)
        if found is None:
            with _alone_in(path.parent):
                found = _usable(path, images)  # another may have built it
                if found is None:
                    return _build(path, images, state)
    except OSError as error:
        rank_zero_warn(
            f"Decoded images are not kept in {folder} ({error.strerror or error}), and are decoded "
            "again. Set data.cache to a folder with room that can be written, or to null."
        )
        return None
    rank_zero_info(f"Decoded images are read from {path} ({images.num_bytes / 1e6:.0f} MB).")
    return found


def folder_of(folder: Path, files: FolderFiles) -> Path:
    """Below ``folder`` that of a folder or an archive, legible and of this place alone."""
    place = os.path.realpath(files.place)
    legible = re.sub(r"[^\w.-]+", "_", Path(place).name, flags=re.ASCII)[:40].lstrip(".")
    return folder / f"{legible}-{sha256(os.fsencode(place)).hexdigest()[:12]}"


def _usable(path: Path, images: EncodedImages) -> CachedImages | None:
    """The cache, unless a file that this machine could not read when it was built is readable."""
    found = CachedImages.open(path, images)
    again = [n for n, each in (found.unreadable if found else {}).items() if each.may_pass]
    return found if all(isinstance(images.decode(n), Unreadable) for n in again) else None


def _alone_in(folder: Path) -> AbstractContextManager[object]:
    """Hold the lock of a folder, which is made; the system takes it from a process that dies."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock", mode=0o666)
    try:
        return lock.acquire(timeout=0)
    except Timeout:
        rank_zero_info(f"Waiting for another process that decodes images into {folder}.")
        return lock.acquire()


def _build(path: Path, images: EncodedImages, state: str) -> CachedImages | None:
    """Decode all images into ``path``, which appears when it is whole; older caches are removed.

    An OSError says that there is no room, or it cannot be written.
    """
    needed, one_writes = images.num_bytes, Lock()
    free = shutil.disk_usage(path.parent).free
    if free < needed + SPARE_BYTES:
        sizes = f"they take {needed / 1e6:.0f} MB, and {free / 1e6:.0f} MB are free"
        raise OSError(errno.ENOSPC, f"{sizes}, of which {SPARE_BYTES / 1e6:.0f} MB stay free")

    def decode_one(number: int) -> int | Unreadable:
        pixels = images.decode(number)
        if isinstance(pixels, Unreadable):
            return pixels
        content = np.ascontiguousarray(pixels).data
        with one_writes:  # and not through a map, which ends the process on a full disk
            stream.seek(number * content.nbytes)
            stream.write(content)
        return zlib.crc32(content)

    draft = path.with_name(f".{path.name}")  # that of a process that died is written over
    try:
        with draft.open("wb") as stream:
            results = in_threads(decode_one, len(images), "decoding images")
            unreadable = {n: one for n, one in enumerate(results) if isinstance(one, Unreadable)}
            checksums = [0 if isinstance(one, Unreadable) else one for one in results]
            words = json.dumps({"checksums": checksums, "unreadable": unreadable}).encode()
            stream.seek(needed)
            stream.write(words + _checksum(words))
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    caches = path.parent.glob(f"*{ENDING}")
    outdated = [other for other in caches if not other.name.lstrip(".").startswith(state)]
    for other in outdated:
        other.unlink(missing_ok=True)
    rank_zero_info(
        f"{len(images)} images were decoded into {path} ({needed / 1e6:.0f} MB)"
        f"{', since the files have changed' if outdated else ''}; later runs read them from there."
    )
    return CachedImages.open(path, images)


def _checksum(words: bytes) -> bytes:
    return f"{zlib.crc32(words):08x}".encode()
