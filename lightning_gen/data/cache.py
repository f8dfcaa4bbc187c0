"""Image files decoded once, into a file on disk that later runs read.

Below the folder of all caches lies a folder for each folder or archive of images, and in it one
file for each size. All of it may be deleted at any time: a run that reads a file keeps it until it
ends, and the next run decodes anew.
"""

import errno
import json
import os
import re
import shutil
import socket
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from threading import Lock

import numpy as np
import PIL
from filelock import FileLock, Timeout
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn

from lightning_gen.atomic import write_text
from lightning_gen.data.cached_images import CacheFile, Identity, write_end
from lightning_gen.data.decoding import Unreadable, ValueRange
from lightning_gen.data.encoded import EncodedImages, find_extremes, range_of
from lightning_gen.data.files import Files, in_threads
from lightning_gen.errors import UserError

AUTO = "auto"
SMALL_BYTES = 2**24
"""Fewer bytes of pixels are decoded at every start, which takes a second or two."""
SPARE_BYTES = 2**30
"""So much room is left on the disk of a cache."""
DECODER = f"1-pillow{PIL.__version__}"
"""Raise the number where :func:`~lightning_gen.data.decoding.decode` gives other pixels."""
ENDING = ".pixels"
STALE_SECONDS = 24 * 3600
"""A draft of another machine that was not written to for so long is of a dead process."""


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


def open_or_build(images: EncodedImages, folder: Path) -> CacheFile | None:
    """The images as a file below ``folder``, decoded into it where it is not there yet.

    It is of these files, as large and as old as they are, of this shape, and of this decoder; else
    another file is built. Of several processes that start at once, one builds and the others wait.
    None, with a warning, where the folder cannot be written or its disk has no room.
    """
    identity = identify(images)
    path = _folder_of(folder, images.files) / _file_name(identity)
    try:
        found = _usable(path, identity, images)
        if found is None:
            with alone_in(path.parent):
                found = _usable(path, identity, images)  # another may have built it
                if found is None:
                    return _build(path, identity, images)
    except OSError as error:
        rank_zero_warn(
            f"Decoded images are not kept in {folder} ({error.strerror or error}), and are decoded "
            "again. Set data.cache to a folder with room that can be written, or to null."
        )
        return None
    rank_zero_info(f"Decoded images are read from {path} ({identity.num_bytes / 1e6:.0f} MB).")
    return found


def identify(images: EncodedImages) -> Identity:
    """What a cache of these images is of."""
    place = os.path.realpath(images.files.place)
    state = images.files.state(images.names)
    decoder = DECODER if images.value_range is None else f"{DECODER}-to{images.value_range}"
    return Identity(place, state, decoder, len(images), images.shape)


def known_range(files: Files, names: Sequence[str], folder: Path | None) -> ValueRange | None:
    """The range of the values of files of more than 8 bits, which a line says.

    The extremes are kept in ``folder``, below which caches lie: finding them reads all files.

    Raises:
        UserError: the range cannot be known.
    """
    kept = folder and _folder_of(folder, files) / f"{files.state(names)[:16]}.range"
    try:
        found = json.loads(kept.read_text()) if kept else None
    except (OSError, ValueError):
        found = None
    if found is None:
        found = find_extremes(files, names)
        if kept:
            with suppress(OSError, UserError):
                write_text(kept, json.dumps(found))
    if not found:
        return None
    value_range = range_of(*found)
    rank_zero_info(
        f"values {found[0]:g} to {found[1]:g} found in {len(names)} files of more than 8 bits: "
        f"scaled by {value_range[1]:g} (data.value_range sets another range)."
    )
    return value_range


def _folder_of(folder: Path, files: Files) -> Path:
    """Below ``folder`` that of a folder or an archive, legible and of this place alone."""
    place = os.path.realpath(files.place)
    legible = re.sub(r"[^\w.-]+", "_", Path(place).name, flags=re.ASCII)[:40].lstrip(".")
    return folder / f"{legible}-{sha256(os.fsencode(place)).hexdigest()[:12]}"


def _file_name(identity: Identity) -> str:
    shape = "x".join(map(str, identity.shape))
    decoder = re.sub(r"[^\w.-]", "", identity.decoder)
    return f"{identity.files[:16]}-{shape}-{decoder}{ENDING}"


def _usable(path: Path, identity: Identity, images: EncodedImages) -> CacheFile | None:
    """The cache, unless a file that this machine could not read when it was built is readable."""
    found = CacheFile.open(path, identity)
    tried_again = [
        images.decode(number)
        for number, failure in (found.unreadable.items() if found else ())
        if failure.may_pass
    ]
    return found if all(isinstance(one, Unreadable) for one in tried_again) else None


def _build(path: Path, identity: Identity, images: EncodedImages) -> CacheFile | None:
    """Decode all images into ``path``, which appears when it is whole.

    Raises:
        OSError: there is no room, or it cannot be written.
    """
    free, needed = shutil.disk_usage(path.parent).free, identity.num_bytes
    if free < needed + SPARE_BYTES:
        raise OSError(
            errno.ENOSPC,
            f"they take {needed / 1e6:.0f} MB, and {free / 1e6:.0f} MB are free, of which "
            f"{SPARE_BYTES / 1e6:.0f} MB stay free",
        )
    with draft_of(path) as draft, draft.open("wb") as stream:
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
        write_end(stream, identity, checksums, unreadable)
    outdated = _remove_outdated(path, identity)
    rank_zero_info(
        f"{len(images)} images were decoded into {path} ({needed / 1e6:.0f} MB)"
        f"{', since the files have changed' if outdated else ''}; later runs read them from there."
    )
    return CacheFile.open(path, identity)


def _remove_outdated(path: Path, identity: Identity) -> int:
    """Remove the caches of these files as they were before; how many there were."""
    kept = (identity.files[:16], ".")  # a draft may be that of a process that is at work
    others = path.parent.glob(f"*{ENDING}")
    outdated = [other for other in others if not other.name.startswith(kept)]
    for other in outdated:
        other.unlink(missing_ok=True)
    return len(outdated)


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder, which is made, after those who had it before.

    The system takes the lock from a process that dies.

    Raises:
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock", mode=0o666)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        rank_zero_info(f"Waiting for another process that decodes images into {folder}.")
        lock.acquire()
    try:
        for draft in folder.glob(".*-*-*"):
            with suppress(OSError):
                ours = draft.name.startswith(f".{_machine()}-")
                if ours or time.time() - draft.stat().st_mtime > STALE_SECONDS:
                    draft.unlink()
        yield
    finally:
        lock.release()


@contextmanager
def draft_of(path: Path) -> Iterator[Path]:
    """A hidden path beside ``path``, of this process alone, which becomes it if all goes well."""
    draft = path.with_name(f".{_machine()}-{os.getpid()}-{path.name}")
    try:
        yield draft
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _machine() -> str:
    return re.sub(r"\W+", "_", socket.gethostname(), flags=re.ASCII)
