"""Image files in a folder, and their content as uint8 arrays of one shape.

At a broken file, Pillow and so what reads here raises exceptions of nearly any type.
"""

import os
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from hashlib import sha256
from io import BufferedReader, BytesIO
from pathlib import Path, PurePosixPath
from threading import Lock
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps

from lightning_gen.contracts import ImageShape
from lightning_gen.data.unreadable import Unreadable
from lightning_gen.errors import UserError
from lightning_gen.progress import in_threads

T = TypeVar("T")

Stream = BufferedReader | BytesIO
"""The content of a file, on disk or in memory."""

ValueRange = tuple[float, float]
"""The values that are black and white in files of more than 8 bits."""

Image.init()
# Left out of what Pillow reads: formats that start other programs (EPS) or hold no pictures.
_PICTURES = (
    *("JPEG", "PNG", "WEBP", "GIF", "BMP", "DIB", "TIFF", "PPM"),
    *("JPEG2000", "AVIF", "ICO", "PCX", "QOI", "SGI", "TGA"),
)
FORMATS = tuple(name for name in _PICTURES if name in Image.OPEN)
EXTENSIONS = frozenset(
    extension for extension, name in Image.registered_extensions().items() if name in FORMATS
)
MOST_PIXELS = 90_000_000
"""An image of more is not decoded: it takes gigabytes, and may be a tiny file that means harm."""

LARGE = 2**24
"""Images of more pixels are decoded one at a time by each process."""

_ONE_LARGE = Lock()

DRAFT = 2
"""A JPEG is decoded at 1/2, 1/4 or 1/8 of its size where that is so many times the size wanted.

From 1024 to 128 pixels that takes less than half the time of all pixels, and the images differ from
theirs by 44 dB, 1.5 grey levels. 1 would be 37 dB (3.6 levels) in three quarters of the time, 3
would be 51 dB in a third more.
"""

MODES = {1: "L", 3: "RGB"}
"""Pillow's mode of so many channels."""
RUN = {"config.yaml", "environment.json"}  # files of a run's directory
GREY_MODES = ("1", "L", "LA", "La", "F", "I", "I;16", "I;16B", "I;16L", "I;16N")


class Look(NamedTuple):
    """What the header of an image file says."""

    grey: bool
    deep: bool
    """Whether its values have more than 8 bits, or are floating-point numbers."""


def look(stream: Stream) -> Look:
    """Read the header of an image file."""
    with Image.open(stream, formats=FORMATS) as image:
        return Look(image.mode in GREY_MODES, has_own_range(image) or _loses_bits(image))


def decode_image(
    stream: Stream, shape: ImageShape, value_range: ValueRange | None = None
) -> NDArray[np.uint8]:
    """The first frame of an image file as uint8 [C, H, W].

    It is turned upright as its EXIF data say, resized so that it just covers the shape (bicubic,
    antialiased) and cropped around its centre. What is transparent lies on white.

    Args:
        stream: the encoded file.
        shape: (channels, height, width), with 1 or 3 channels.
        value_range: the values that become 0 and 255 in a file of more than 8 bits.

    Raises:
        ValueError: there are too many pixels, or no range for values of more than 8 bits.
    """
    channels, height, width = shape
    mode = MODES[channels]
    with Image.open(stream, formats=FORMATS) as image:
        image.draft(mode, (DRAFT * max(height, width),) * 2)
        check_size(image)
        with _ONE_LARGE if image.width * image.height > LARGE else nullcontext():
            ImageOps.exif_transpose(image, in_place=True)
            return resize_and_crop(image, shape, value_range)


def resize_and_crop(
    image: Image.Image, shape: ImageShape, value_range: ValueRange | None = None
) -> NDArray[np.uint8]:
    """An image resized so that it just covers the shape, and cropped, as uint8 [C, H, W]."""
    channels, height, width = shape
    eight_bit = _eight_bit(image, MODES[channels], value_range)
    if eight_bit.size != (width, height):
        eight_bit = ImageOps.fit(eight_bit, (width, height), Image.Resampling.BICUBIC)
    return np.array(eight_bit).reshape(height, width, channels).transpose(2, 0, 1)


def seen_size(stream: Stream, shape: ImageShape) -> tuple[int, int]:
    """(height, width), in its own pixels, of the part of an image that is resized to a shape."""
    _, height, width = shape
    with Image.open(stream, formats=FORMATS) as image:
        turned = image.getexif().get(ExifTags.Base.Orientation, 1) > 4
        own_width, own_height = image.size[::-1] if turned else image.size
    scale = min(own_height / height, own_width / width)
    return round(scale * height), round(scale * width)


def check_size(image: Image.Image) -> None:
    """Raise a ValueError where an image is so large that it may mean harm."""
    pixels = image.width * image.height
    if pixels > MOST_PIXELS:
        raise ValueError(f"{pixels:,} pixels are more than {MOST_PIXELS:,}")


def has_own_range(image: Image.Image) -> bool:
    """Whether the values are not those of 8 bits: 16 or 32 bits a pixel, or real numbers."""
    return image.mode[0] in "IF"


def _loses_bits(image: Image.Image) -> bool:
    """Whether Pillow reads the upper 8 of 16 bits."""
    return any(";16" in str(tile[3]) for tile in getattr(image, "tile", ()))


def _eight_bit(image: Image.Image, mode: str, value_range: ValueRange | None) -> Image.Image:
    if has_own_range(image):
        if value_range is None:
            raise ValueError("values of more than 8 bits, whose range is not known")
        low, high = value_range
        scaled = 255 * ((np.asarray(image).astype(np.float64) - low) / (high - low))
        return Image.fromarray(scaled.clip(0, 255).round().astype(np.uint8)).convert(mode)
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    return image if image.mode == mode else image.convert(mode)


def is_image_name(name: str) -> bool:
    """Whether a path ends like an image and neither is hidden nor lies in a hidden folder."""
    path = PurePosixPath(name)
    hidden = any(part.startswith(".") or part == "__MACOSX" for part in path.parts)
    return not hidden and path.suffix.lower() in EXTENSIONS


class FolderFiles:
    """The files below a folder, nested to any depth, by names with forward slashes.

    They are read in threads and in workers, too.
    """

    def __init__(self, place: Path) -> None:
        self.place = place

    def state(self, names: Sequence[str]) -> str:
        """A digest of the files' names, sizes and times of change."""
        return digest([(name, *size_and_time(self.place / name)) for name in names])

    def names(self) -> list[str]:
        """Names relative to the folder, sorted.

        Links are followed, and every folder is visited once, so that a loop of links ends. What is
        hidden (a leading dot, ``__MACOSX``) is skipped, and so are the pictures of runs. A
        UserError says that a folder cannot be listed.
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

        An OSError says that it is gone, or no regular file (a pipe would block for ever).
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


def size_and_time(path: Path) -> tuple[int, int]:
    """Of a file, and in nanoseconds; -1 where it is gone."""
    try:
        found = path.stat()
    except OSError:
        return -1, -1
    return found.st_size, found.st_mtime_ns


def digest(parts: Sequence[object]) -> str:
    """A checksum of plain values."""
    lines = "".join(f"{part!r}\n" for part in parts)  # repr escapes what is no Unicode
    return sha256(lines.encode()).hexdigest()


def attempt(files: FolderFiles, name: str, read: Callable[[Stream], T]) -> T | Unreadable:
    """What ``read`` makes of a file, or why it cannot."""
    try:
        with files.open(name) as stream:
            return read(stream)
    except Exception as error:  # Pillow raises nearly anything at broken bytes
        return Unreadable.because(name, error)


def attempt_all(
    files: FolderFiles, names: Sequence[str], read: Callable[[Stream], T], description: str
) -> tuple[dict[str, T], list[Unreadable]]:
    """What ``read`` makes of each of these files that can be read, and the others; in threads."""
    results = in_threads(lambda n: attempt(files, names[n], read), len(names), description)
    found = dict(zip(names, results, strict=True))
    broken = [one for one in results if isinstance(one, Unreadable)]
    return {name: one for name, one in found.items() if not isinstance(one, Unreadable)}, broken
