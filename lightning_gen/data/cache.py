"""Image files decoded once, into a file on disk that later runs read.

Below the folder of all caches lies a folder for each folder or archive of images, and in it one
file for each size. All of it may be deleted at any time: a run that reads a file keeps it until it
ends, and the next run decodes anew.
"""

import errno
import os
import re
import shutil
from contextlib import AbstractContextManager
from hashlib import sha256
from pathlib import Path

import PIL
from filelock import FileLock, Timeout
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn

from lightning_gen.data.cached import CacheFile, write
from lightning_gen.data.decoding import Unreadable
from lightning_gen.data.files import Files
from lightning_gen.data.sources import EncodedImages
from lightning_gen.errors import UserError

AUTO = "auto"
SPARE_BYTES = 2**30
"""So much room is left on the disk of a cache."""
DECODER = f"1-pillow{PIL.__version__}"
"""Raise the number where :func:`~lightning_gen.data.decoding.decode` gives other pixels."""
ENDING = ".pixels"


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


def folder_of(folder: Path, files: Files) -> Path:
    """Below ``folder`` that of a folder or an archive, legible and of this place alone."""
    place = os.path.realpath(files.place)
    legible = re.sub(r"[^\w.-]+", "_", Path(place).name, flags=re.ASCII)[:40].lstrip(".")
    return folder / f"{legible}-{sha256(os.fsencode(place)).hexdigest()[:12]}"


def _usable(path: Path, images: EncodedImages) -> CacheFile | None:
    """The cache, unless a file that this machine could not read when it was built is readable."""
    found = CacheFile.open(path, len(images), images.shape)
    tried_again = [
        images.decode(number)
        for number, failure in (found.unreadable.items() if found else ())
        if failure.may_pass
    ]
    return found if all(isinstance(one, Unreadable) for one in tried_again) else None


def _alone_in(folder: Path) -> AbstractContextManager[object]:
    """Hold the lock of a folder, which is made, after those who had it before.

    The system takes the lock from a process that dies.

    Raises:
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock", mode=0o666)
    try:
        return lock.acquire(timeout=0)
    except Timeout:
        rank_zero_info(f"Waiting for another process that decodes images into {folder}.")
        return lock.acquire()


def _build(path: Path, images: EncodedImages, state: str) -> CacheFile | None:
    """Decode all images into ``path``, which appears when it is whole; older caches are removed.

    Raises:
        OSError: there is no room, or it cannot be written.
    """
    free, needed = shutil.disk_usage(path.parent).free, images.num_bytes
    if free < needed + SPARE_BYTES:
        raise OSError(
            errno.ENOSPC,
            f"they take {needed / 1e6:.0f} MB, and {free / 1e6:.0f} MB are free, of which "
            f"{SPARE_BYTES / 1e6:.0f} MB stay free",
        )
    draft = path.with_name(f".{path.name}")  # that of a process that died is written over
    try:
        with draft.open("wb") as stream:
            write(stream, images)
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
    return CacheFile.open(path, len(images), images.shape)
