"""Image files as uint8 arrays of one shape.

At a broken file, Pillow and so what reads here raises exceptions of nearly any type.
"""

import warnings
from collections.abc import Sequence
from contextlib import nullcontext
from io import BufferedReader, BytesIO
from threading import Lock
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor

from lightning_gen.contracts import ImageShape
from lightning_gen.errors import UserError

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
GREY_MODES = ("1", "L", "LA", "La", "F", "I", "I;16", "I;16B", "I;16L", "I;16N")


class Look(NamedTuple):
    """What the header of an image file says."""

    grey: bool
    deep: bool
    """Whether its values have more than 8 bits, or are floating-point numbers."""


def look(stream: Stream) -> Look:
    """Read the header of an image file."""
    with Image.open(stream, formats=FORMATS) as image:
        return Look(image.mode in GREY_MODES, _has_own_range(image) or _loses_bits(image))


def extremes(stream: Stream) -> tuple[float, float, bool]:
    """The smallest and the largest value of a deep image file, and whether they are cut.

    These are the upper 8 of 16 bits, all that Pillow reads of a file with colours.
    """
    with Image.open(stream, formats=FORMATS) as image:
        _check_size(image)
        cut = not _has_own_range(image)
        values = np.asarray(image.convert("RGB") if cut else image)
        return float(values.min()), float(values.max()), cut


def decode(
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
        _check_size(image)
        with _ONE_LARGE if image.width * image.height > LARGE else nullcontext():
            ImageOps.exif_transpose(image, in_place=True)
            return fit(image, shape, value_range)


def fit(
    image: Image.Image, shape: ImageShape, value_range: ValueRange | None = None
) -> NDArray[np.uint8]:
    """An image resized so that it just covers the shape, and cropped, as uint8 [C, H, W]."""
    channels, height, width = shape
    eight_bit = _eight_bit(image, MODES[channels], value_range)
    if eight_bit.size != (width, height):
        eight_bit = ImageOps.fit(eight_bit, (width, height), Image.Resampling.BICUBIC)
    return np.array(eight_bit).reshape(height, width, channels).transpose(2, 0, 1)


def _check_size(image: Image.Image) -> None:
    pixels = image.width * image.height
    if pixels > MOST_PIXELS:
        raise ValueError(f"{pixels:,} pixels are more than {MOST_PIXELS:,}")


def _has_own_range(image: Image.Image) -> bool:
    """Whether the values are not those of 8 bits: 16 or 32 bits a pixel, or real numbers."""
    return image.mode[0] in "IF"


def _loses_bits(image: Image.Image) -> bool:
    """Whether Pillow reads the upper 8 of 16 bits."""
    return any(";16" in str(tile[3]) for tile in getattr(image, "tile", ()))


def _eight_bit(image: Image.Image, mode: str, value_range: ValueRange | None) -> Image.Image:
    if _has_own_range(image):
        if value_range is None:
            raise ValueError("values of more than 8 bits, whose range is not known")
        low, high = value_range
        scaled = 255 * ((np.asarray(image).astype(np.float64) - low) / (high - low))
        return Image.fromarray(scaled.clip(0, 255).round().astype(np.uint8)).convert(mode)
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    return image if image.mode == mode else image.convert(mode)


class Unreadable(NamedTuple):
    """A file that is no readable image, and why.

    Attributes:
        name: of the file.
        reason: in one line.
        may_pass: whether the machine is to blame (no permission, no memory) and not the file.
    """

    name: str
    reason: str
    may_pass: bool = False

    @classmethod
    def because(cls, name: str, error: Exception) -> "Unreadable":
        """The file that raised ``error``."""
        # Pillow raises OSErrors at broken bytes too, but without a number.
        of_machine = isinstance(error, OSError) and error.errno is not None
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        return cls(name, reason, of_machine or isinstance(error, MemoryError))


def describe(broken: Sequence[Unreadable], count: int) -> str:
    """One line about the ``broken`` ones of ``count`` files; the first three by name."""
    first = ", ".join(f"{one.name!r} ({one.reason})" for one in broken[:3])
    more = f" and {len(broken) - 3} more" if len(broken) > 3 else ""
    return f"{len(broken)} of {count} images cannot be read: {first}{more}"


def leave_out(failures: Sequence[Unreadable | None]) -> Bool[Tensor, " n"] | None:
    """Which images did not fail, and a warning that names those that did; None if none did.

    Raises:
        UserError: all failed.
    """
    broken = [failure for failure in failures if failure]
    if not broken:
        return None
    message = describe(broken, len(failures))
    if len(broken) == len(failures):
        raise UserError(f"{message}; expected at least one whole. Replace or remove them.")
    warnings.warn(f"{message}; they are left out.", stacklevel=4)
    return torch.tensor([failure is None for failure in failures])
