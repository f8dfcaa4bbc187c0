"""The arguments that all datasets share: their types, and how a wrong one is refused."""

from typing import Literal, TypedDict

from lightning_gen.errors import UserError

Binarize = Literal["static", "dynamic"]

ImagesOn = Literal["auto", "cpu", "accelerator"]
"""Where images are held: "auto" is the accelerator if they take at most half of what is free."""


class Always(TypedDict, total=False):
    """What every dataset takes."""

    val_fraction: float
    images_on: ImagesOn


class OfClasses(Always, total=False):
    """What those with classes to choose from take, too."""

    train_classes: tuple[str, ...] | None


class CommonArguments(OfClasses, total=False):
    """What :class:`ImageDataModule` takes."""

    batch_size: int
    binarize: Binarize | None


class Tested(Always, total=False):
    """What those take that cut the images to test on themselves."""

    batch_size: int
    test_fraction: float


def expect(holds: bool, argument: str, what: str, got: object, remedy: str) -> None:
    """Raise a UserError that says ``what`` an argument is, unless it ``holds``."""
    if not holds:
        raise UserError(f"data.{argument} is {what}, got {got}. {remedy}")


def height_and_width(image_size: int | tuple[int, int]) -> tuple[int, int]:
    """(height, width) in pixels, of one number for a square or of both.

    Raises:
        UserError: it is something else, or a side is below 8 pixels.
    """
    sides = (image_size,) * 2 if isinstance(image_size, int) else tuple(image_size)
    holds = len(sides) == 2 and all(type(side) is int and side >= 8 for side in sides)
    what = "a number of pixels or [height, width], each at least 8"
    expect(holds, "image_size", what, repr(image_size), "Set it to 64.")
    return sides[0], sides[1]


def check_tested(test_fraction: float, num_workers: int) -> None:
    """Raise a UserError where one is no share of images to test on, or no number of processes."""
    what = "the share of all images kept for testing, above 0 and below 1"
    expect(0 < test_fraction < 1, "test_fraction", what, test_fraction, "Set it to 0.1.")
    expect(num_workers >= 0, "num_workers", "at least 0", num_workers, "Set it to 4.")
