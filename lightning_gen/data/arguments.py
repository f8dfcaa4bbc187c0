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


class Shared(OfClasses, total=False):
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


def check_test_fraction(fraction: float) -> None:
    """Raise a UserError where ``fraction`` is no share of images to test on."""
    what = "the share of all images kept for testing, above 0 and below 1"
    expect(0 < fraction < 1, "test_fraction", what, fraction, "Set it to 0.1.")


def check_workers(number: int) -> int:
    """``number``; a UserError where it is no number of processes."""
    expect(number >= 0, "num_workers", "at least 0", number, "Set it to 4.")
    return number
