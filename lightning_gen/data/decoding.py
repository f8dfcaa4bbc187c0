"""Image files as uint8 arrays of one shape."""

from contextlib import nullcontext
from io import BufferedReader, BytesIO
from threading import Lock

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from lightning_gen.contracts import ImageShape
from lightning_gen.errors import UserError

Stream = BufferedReader | BytesIO
"""The content of a file, on disk or in memory."""

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

GREY_MODES = ("1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "I;16N")


def height_and_width(image_size: int | tuple[int, int]) -> tuple[int, int]:
    """(height, width) in pixels, of one number for a square or of both.

    Raises:
        UserError: it is something else, or a side is below 8 pixels.
    """
    sides = (image_size,) * 2 if isinstance(image_size, int) else tuple(image_size)
    whole = all(isinstance(side, int) and not isinstance(side, bool) for side in sides)
    if len(sides) != 2 or not whole or min(sides) < 8:
        raise UserError(
            f"data.image_size is a number of pixels or [height, width], each at least 8, "
            f"got {image_size!r}. Set it to 64."
        )
    return sides[0], sides[1]


def is_grey(stream: Stream) -> bool:
    """Whether an image file has no colours, from its header.

    Raises:
        Exception: of whatever type Pillow raises for a broken file.
        ValueError: the pixels are floating-point numbers, whose range is unknown.
    """
    with Image.open(stream, formats=FORMATS) as image:
        if image.mode == "F":
            raise ValueError("floating-point pixels have no agreed range")
        return image.mode in GREY_MODES


def decode(stream: Stream, shape: ImageShape) -> NDArray[np.uint8]:
    """The first frame of an image file as uint8 [C, H, W].

    It is turned upright as its EXIF data say, resized so that it just covers the shape (bicubic,
    antialiased) and cropped around its centre. What is transparent lies on white. 16 bits become 8.

    Args:
        stream: the encoded file.
        shape: (channels, height, width), with 1 or 3 channels.

    Raises:
        Exception: of whatever type Pillow raises for a broken file.
        ValueError: the pixels are floating-point numbers, whose range is unknown, or too many.
    """
    channels, height, width = shape
    mode = "L" if channels == 1 else "RGB"
    with Image.open(stream, formats=FORMATS) as image:
        image.draft(mode, (DRAFT * max(height, width),) * 2)
        pixels = image.width * image.height
        if pixels > MOST_PIXELS:
            raise ValueError(f"{pixels:,} pixels are more than {MOST_PIXELS:,}")
        with _ONE_LARGE if pixels > LARGE else nullcontext():
            ImageOps.exif_transpose(image, in_place=True)
            eight_bit = _eight_bit(image, mode)
            fitted = ImageOps.fit(eight_bit, (width, height), Image.Resampling.BICUBIC)
    return np.asarray(fitted).reshape(height, width, channels).transpose(2, 0, 1)


def _eight_bit(image: Image.Image, mode: str) -> Image.Image:
    if image.mode == "F":
        raise ValueError("floating-point pixels have no agreed range")
    if image.mode.startswith("I"):
        deep = np.asarray(image).clip(0, 65535)
        return Image.fromarray((deep / 257).round().astype(np.uint8)).convert(mode)
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    return image if image.mode == mode else image.convert(mode)
