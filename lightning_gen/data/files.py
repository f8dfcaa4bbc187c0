"""Image files in a folder or inside a zip archive, under one interface, and downloads."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from http.client import HTTPException
from io import BytesIO
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any, TypeVar
from zipfile import BadZipFile, ZipFile

from lightning.pytorch.utilities import rank_zero_info
from torchvision.datasets.utils import download_url

from lightning_gen.data.decoding import EXTENSIONS, Stream, Unreadable
from lightning_gen.errors import UserError
from lightning_gen.progress import progress

T = TypeVar("T")

RUN = {"config.yaml", "environment.json"}  # files of a run's directory
MOST_BYTES = 2**28
"""A larger member of an archive is not read."""


def is_image_name(name: str) -> bool:
    """Whether a path ends like an image and neither is hidden nor lies in a hidden folder."""
    path = PurePosixPath(name)
    hidden = any(part.startswith(".") or part == "__MACOSX" for part in path.parts)
    return not hidden and path.suffix.lower() in EXTENSIONS


class FolderFiles:
    """The files below a folder, nested to any depth."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def state(self, names: Sequence[str]) -> str:
        """A digest of the files' names, sizes and times of change."""
        return _digest([(name, *_size_and_time(self.place / name)) for name in names])

    def names(self) -> list[str]:
        """Names relative to the folder, sorted.

        Links are followed, and every folder is visited once, so that a loop of links ends. What is
        hidden (a leading dot, ``__MACOSX``) is skipped, and so are the pictures of runs.

        Raises:
            UserError: a folder cannot be listed.
        """
        found = []
        visited = set()
        for folder, subfolders, files in os.walk(self.place, onerror=_refuse, followlinks=True):
            if (real := os.path.realpath(folder)) in visited or {*files} >= RUN:
                subfolders.clear()
                continue
            visited.add(real)
            subfolders.sort()
            relative = Path(folder).relative_to(self.place)
            found += [(relative / file).as_posix() for file in files]
        return sorted(filter(is_image_name, found))

    def open(self, name: str) -> Stream:
        """The content of a file.

        Raises:
            OSError: it is gone, or no regular file (a pipe would block for ever).
        """
        path = self.place / name
        if not path.is_file():
            raise FileNotFoundError("not a file, or a link to nothing")
        return path.open("rb")


def _refuse(error: OSError) -> None:
    raise UserError(
        f"the folder {error.filename!r} cannot be listed ({error.strerror}), expected one that "
        "this user may read. Change its permissions or move it away."
    )


def _size_and_time(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return -1, -1
    return found.st_size, found.st_mtime_ns


def _digest(parts: Sequence[object]) -> str:
    lines = "".join(f"{part!r}\n" for part in parts)  # repr escapes what is no Unicode
    return sha256(lines.encode()).hexdigest()


class ZipFiles:
    """The files inside a zip archive, read without unpacking it.

    Each process opens the archive for itself, when it first reads.
    """

    def __init__(self, place: Path) -> None:
        self.place = place
        self._opened: tuple[int, ZipFile] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {"place": self.place, "_opened": None}

    def state(self, names: Sequence[str]) -> str:
        """A digest of the names, and of the archive's size and time of change."""
        return _digest([*_size_and_time(self.place), *names])

    def names(self) -> list[str]:
        """Names of the members that are images, sorted.

        Raises:
            UserError: the archive is broken.
        """
        try:
            return sorted(filter(is_image_name, self._archive().namelist()))
        except (BadZipFile, OSError, NotImplementedError) as error:
            raise UserError(
                f"{self.place} is no whole zip archive ({error}). Delete it and fetch it again."
            ) from error

    def open(self, name: str) -> Stream:
        """The content of a member, its checksum verified.

        Raises:
            ValueError: it is larger than any image, as a decompression bomb is.
        """
        member = self._archive().getinfo(name)
        if member.file_size > MOST_BYTES:
            raise ValueError(f"{member.file_size:,} bytes are more than {MOST_BYTES:,}")
        return BytesIO(self._archive().read(member))

    def _archive(self) -> ZipFile:
        process = os.getpid()
        if self._opened is None or self._opened[0] != process:
            self._opened = (process, ZipFile(self.place))
        return self._opened[1]


Files = FolderFiles | ZipFiles
"""Files that are read by name, a path with forward slashes; in threads and workers, too."""


def in_threads(task: Callable[[int], T], count: int, description: str) -> list[T]:
    """``task`` of each of 0 to ``count - 1``, in order, with progress when it takes seconds."""
    results: list[T] = []
    with progress(count, description) as bar, ThreadPoolExecutor(os.cpu_count()) as threads:
        for start in range(0, count, 1024):  # an interrupt waits for one part, not for all
            part = range(start, min(start + 1024, count))
            results += threads.map(task, part)
            bar.update(len(part))
    return results


def attempt(files: Files, name: str, read: Callable[[Stream], T]) -> T | Unreadable:
    """What ``read`` makes of a file, or why it cannot."""
    try:
        with files.open(name) as stream:
            return read(stream)
    except Exception as error:  # Pillow raises nearly anything at broken bytes
        return Unreadable.because(name, error)


def attempt_all(
    files: Files, names: Sequence[str], read: Callable[[Stream], T], description: str
) -> tuple[dict[str, T], list[Unreadable]]:
    """What ``read`` makes of each of these files that can be read, and the others; in threads."""
    results = in_threads(lambda n: attempt(files, names[n], read), len(names), description)
    found = dict(zip(names, results, strict=True))
    broken = [one for one in results if isinstance(one, Unreadable)]
    return {name: one for name, one in found.items() if not isinstance(one, Unreadable)}, broken


def not_whole(path: Path, otherwise: str, reason: str = "") -> UserError:
    """What to tell a user whose file of a published dataset is missing, or broken: ``reason``."""
    what = f"broken{reason}. Delete it and set" if path.exists() else "missing. Set"
    return UserError(f"{path} is {what} data.download true to fetch it, or {otherwise}.")


def fetch(path: Path, mirrors: Sequence[str], is_whole: Callable[[Path], bool]) -> None:
    """Download a file to ``path`` from the first mirror that gives it whole, with progress.

    A whole file that is already there is kept; a broken one stays until a whole one replaces it.
    The folders of ``path`` are made when a whole file has come.

    Args:
        path: where the file goes; its name is appended to each mirror.
        mirrors: addresses that end in a slash.
        is_whole: tells a whole file from a broken one.

    Raises:
        UserError: no mirror gave a whole file.
    """
    if path.is_file() and is_whole(path):
        return
    rank_zero_info(
        f"{path.absolute()} is {'broken' if path.exists() else 'not there'}: it is fetched. If you "
        "have it elsewhere, set data.root."
    )
    reasons = []
    for mirror in mirrors:
        try:
            existing = next(folder for folder in path.absolute().parents if folder.is_dir())
            with TemporaryDirectory(dir=existing, prefix=".download-") as folder:
                part = Path(folder) / path.name
                download_url(mirror + path.name, folder, path.name)
                if not is_whole(part):
                    size = part.stat().st_size
                    raise RuntimeError(f"{size} bytes came, and they are not the file")
                path.parent.mkdir(parents=True, exist_ok=True)
                part.replace(path)
            return
        except (RuntimeError, OSError, HTTPException) as error:
            reasons.append(" ".join(f"{mirror}: {error}".split()))
    raise UserError(
        f"{path.name} could not be downloaded whole ({'; '.join(reasons)}). "
        f"Check the network, or put the file at {path}."
    )
