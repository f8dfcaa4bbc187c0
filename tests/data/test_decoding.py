import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from lightning_gen.data.decoding import EXTENSIONS, decode_image, look
from lightning_gen.data.image_folder import height_and_width
from support.refusals import assert_refused

GREY = np.arange(0, 256, 4, dtype=np.uint8).reshape(8, 8)
COLOUR = np.stack([GREY, GREY[::-1], GREY.T], axis=2)
RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def encode(image, ending, **options):
    stream = io.BytesIO()
    image.save(stream, format=ending, **options)
    stream.seek(0)
    return stream


def decoded(image, ending="png", channels=3, size=None, value_range=None, **options):
    shape = (channels, *(size or image.size[::-1]))
    return decode_image(encode(image, ending, **options), shape, value_range)


def rgb(pixels):
    return pixels.transpose(1, 2, 0)


@pytest.mark.parametrize("ending", ["png", "bmp", "tiff", "webp", "gif", "ppm", "tga", "jpeg2000"])
def test_grey_and_colour_files_come_back(ending):
    grey = Image.fromarray(GREY)
    lossless = {"lossless": True} if ending == "webp" else {}
    np.testing.assert_array_equal(decoded(grey, ending, channels=1, **lossless)[0], GREY)
    np.testing.assert_array_equal(decoded(grey, ending, **lossless), np.stack([GREY] * 3))
    colour = Image.fromarray(COLOUR)
    if ending == "gif":
        colour = colour.quantize(64)
    expected = np.asarray(colour.convert("RGB"))
    np.testing.assert_array_equal(rgb(decoded(colour, ending, **lossless)), expected)


def test_colours_become_luma_where_one_channel_is_wanted():
    pixels = decoded(Image.new("RGB", (8, 8), GREEN), channels=1)
    assert np.unique(pixels).tolist() == [150]  # 0.587 * 255


def test_one_bit():
    bits = GREY > 100
    np.testing.assert_array_equal(decoded(Image.fromarray(bits), channels=1)[0], bits * 255)


@pytest.mark.parametrize("ending", ["png", "tiff", "ppm"])
def test_sixteen_bits_are_scaled(ending):
    deep = GREY.astype(np.uint16) * 257
    deep[0, :2] = 65535, 1000  # 3.89 of 255
    expected = GREY.copy()
    expected[0, :2] = 255, 4
    stream = encode(Image.fromarray(deep), ending)
    assert look(stream) == (True, True)
    whole = (0.0, 65535.0)
    np.testing.assert_array_equal(decode_image(stream, (1, 8, 8), whole)[0], expected)
    np.testing.assert_array_equal(decode_image(stream, (3, 8, 8), whole)[2], expected)
    with pytest.raises(ValueError, match="whose range is not known"):
        decode_image(stream, (1, 8, 8))


def test_what_is_transparent_lies_on_white():
    image = Image.new("RGBA", (8, 8), (*RED, 0))
    image.paste((*RED, 255), (0, 0, 4, 8))
    image.paste((0, 0, 0, 51), (4, 4, 8, 8))  # a fifth of black
    expected = np.zeros((8, 8, 3))
    expected[:, :4], expected[:4, 4:], expected[4:, 4:] = RED, WHITE, 204
    for ending in ("png", "tiff"):
        np.testing.assert_array_equal(rgb(decoded(image, ending)), expected)
    grey = Image.merge("LA", (Image.new("L", (8, 8), 0), image.getchannel("A")))
    assert decoded(grey, channels=1)[0, 0].tolist() == [0] * 4 + [255] * 4


def test_palette_with_a_transparent_colour():
    image = Image.new("P", (8, 8), 0)
    image.putpalette([*RED, *BLUE])
    image.paste(1, (0, 0, 8, 4))
    for ending in ("png", "gif"):
        for options, below in (({}, RED), ({"transparency": 0}, WHITE)):
            pixels = rgb(decoded(image, ending, **options))
            assert (pixels[0] == BLUE).all()
            assert (pixels[7] == below).all()


@pytest.mark.parametrize(("ending", "tolerance"), [("tiff", 0), ("jpeg", 4)])
def test_cmyk(ending, tolerance):
    image = Image.new("CMYK", (16, 16), (255, 0, 0, 0))  # cyan
    pixels = rgb(decoded(image, ending)).astype(int)
    assert abs(pixels - (0, 255, 255)).max() <= tolerance


UNDONE = {  # how to turn stored pixels upright, by orientation (Exif 2.3, table 6)
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
    8: np.rot90,
}


@pytest.mark.parametrize("orientation", UNDONE)
def test_exif_orientation_is_honoured(orientation):
    stored = np.zeros((16, 32, 3), dtype=np.uint8)
    stored[:8, :16], stored[:8, 16:], stored[8:, :16] = RED, GREEN, BLUE
    exif = Image.Exif()
    exif[0x0112] = orientation
    upright = UNDONE[orientation](stored)
    size = upright.shape[:2]
    for ending, tolerance in (("png", 0), ("jpeg", 3)):
        options = {"subsampling": 0, "quality": 100} if ending == "jpeg" else {}
        pixels = rgb(decoded(Image.fromarray(stored), ending, size=size, exif=exif, **options))
        assert abs(pixels.astype(int) - upright).max() <= tolerance


def test_the_middle_of_the_longer_side_is_kept():
    tall = np.repeat(np.arange(24, dtype=np.uint8)[:, None], 16, axis=1)
    for array, size, expected in (
        (tall, (16, 16), tall[4:20]),
        (tall.T, (16, 16), tall.T[:, 4:20]),
        (tall, (8, 16), tall[8:16]),
    ):
        found = decoded(Image.fromarray(array), channels=1, size=size)[0]
        np.testing.assert_array_equal(found, expected)


def test_shrinking_is_antialiased():
    board = (np.indices((256, 256)).sum(0) % 2 * 255).astype(np.uint8)
    pixels = decoded(Image.fromarray(board), channels=1, size=(8, 8)).astype(int)
    assert abs(pixels - 127.5).max() <= 2


@pytest.mark.parametrize("channels", [1, 3])
def test_a_large_jpeg_is_decoded_at_a_fraction_of_its_size(monkeypatch, channels):
    ramp = np.linspace(0, 255, 1024).astype(np.uint8)
    image = Image.fromarray(np.stack(np.broadcast_arrays(ramp, ramp[:, None], ramp // 2), 2))
    sizes = []
    fit = ImageOps.fit
    monkeypatch.setattr(ImageOps, "fit", lambda i, *a: sizes.append(i.size) or fit(i, *a))
    shape = {"channels": channels, "size": (32, 48)}
    fast = decoded(image, "jpeg", quality=95, **shape).astype(int)
    assert sizes == [(128, 128)]
    assert abs(fast - decoded(image, "png", **shape)).max() <= 4


def test_an_animation_gives_its_first_frame():
    frames = [Image.new("RGB", (8, 8), colour) for colour in (RED, BLUE)]
    pixels = rgb(decoded(frames[0], "gif", save_all=True, append_images=frames[1:]))
    assert (pixels == RED).all()


def test_header_tells_grey_from_colour():
    for mode, grey in {"1": True, "L": True, "LA": True, "RGB": False, "RGBA": False}.items():
        assert look(encode(Image.new(mode, (8, 8)), "png")) == (grey, False)


def test_formats_that_start_other_programs_are_left_out():
    assert {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"} <= EXTENSIONS
    assert not {".eps", ".ps", ".pdf", ".wmf", ".mpg", ".h5"} & EXTENSIONS
    script = io.BytesIO(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EOF\n")
    with pytest.raises(OSError, match="cannot identify"):
        decode_image(script, (3, 8, 8))


def test_image_size_is_a_side_or_both():
    assert height_and_width(48) == (48, 48)
    assert height_and_width((32, 48)) == (32, 48)
    for wrong in (7, 0, -64, True, (64, 4)):
        assert_refused(r"data\.image_size .* got", height_and_width, wrong)
