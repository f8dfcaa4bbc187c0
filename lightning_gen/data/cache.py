"""Image files decoded once, into a file on disk that later runs read.

Below the folder of all caches lies a folder for each folder or archive of images, and in it one
file for each size. All of it may be deleted at any time: a run that reads a file keeps it until it
ends, and the next run decodes anew.
"""

import errno
import os
import re
import shutil
from hashlib import sha256
from pathlib import Path

import numpy as np
import PIL
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn

from lightning_gen.data.cache_file import CacheFile, Identity, write_end, write_image
from lightning_gen.data.cache_lock import alone_in, draft_of
from lightning_gen.data.encoded import EncodedImages
from lightning_gen.data.threads import in_threads
from lightning_gen.data.unreadable import Unreadable
from lightning_gen.errors import UserError

AUTO = "auto"
SMALL_BYTES = 2**24
"""Fewer bytes of pixels are decoded at every start, which takes a second or two."""
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

    It is of these files, as large and as old as they are, of this shape, and of this decoder; else
    another file is built. Of several processes that start at once, one builds and the others wait.
    None, with a warning, where the folder cannot be written or its disk has no room.
    """
    identity = identify(images)
    path = folder / _folder_name(identity.place) / _file_name(identity)
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
    return Identity(place, state, DECODER, len(images), images.shape)


def _folder_name(place: str) -> str:
    """Legible, and of this place alone."""
    legible = re.sub(r"[^\w.-]+", "_", Path(place).name, flags=re.ASCII)[:40].lstrip(".")
    return f"{legible}-{sha256(os.fsencode(place)).hexdigest()[:12]}"


def _file_name(identity: Identity) -> str:
    shape = "x".join(map(str, identity.shape))
    return f"{identity.files[:16]}-{shape}-{identity.decoder}{ENDING}"


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
        descriptor = stream.fileno()

        def decode(number: int) -> int | Unreadable:
            pixels = images.decode(number)
            if isinstance(pixels, Unreadable):
                return pixels
            return write_image(descriptor, number, pixels)

        results = in_threads(decode, len(images), "decoding images")
        unreadable = {n: one for n, one in enumerate(results) if isinstance(one, Unreadable)}
        checksums = np.array([0 if isinstance(one, Unreadable) else one for one in results])
        write_end(stream, identity, checksums.astype(np.uint32), unreadable)
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
