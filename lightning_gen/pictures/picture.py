"""A picture of a model: its options, what it needs, how it is drawn, and images in rows."""

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import torch
from matplotlib.figure import Figure

from lightning_gen.contracts import (
    NO_CLASS,
    Batch,
    Codes,
    Decodes,
    Images,
    Needs,
    SamplesCodes,
    able,
    require,
)
from lightning_gen.errors import UserError, check_number
from lightning_gen.figures.grid import GAP, image_grid, image_rows
from lightning_gen.figures.style import Pixels
from lightning_gen.pictures.codes import LabelledCodes, unlabelled

AT_ONCE = 256
"""Codes that are decoded together."""


class View(NamedTuple):
    """What a model shows, ready to be drawn or to be kept image by image.

    Attributes:
        rows: images of equal shape under each label; one row without a label and without columns
            is drawn as a square.
        title: what the picture shows.
        columns: a heading above each column, or none.
        seamless: the images are points of a plane, drawn without gaps.
    """

    rows: dict[str, Images]
    title: str
    columns: tuple[str, ...] = ()
    seamless: bool = False

    def pixels(self, note: str = "") -> Pixels:
        """The picture; the ``note`` follows the title."""
        title = f"{self.title} {note}".strip()
        if [*self.rows] == [""] and not self.columns:
            return image_grid(self.rows[""], title)
        return image_rows(self.rows, title, self.columns, 0 if self.seamless else GAP)


def decode_all(model: Decodes, codes: Codes) -> Images:
    """The images of any number of codes, a few hundred at once."""
    return torch.cat([model.decode(part) for part in torch.split(codes, AT_ONCE)])


def unique(names: Sequence[str]) -> list[str]:
    """Names with a number where they repeat."""
    found: list[str] = []
    for name in names:
        number = 2
        different = name
        while different in found:
            different, number = f"{name} {number}", number + 1
        found.append(different)
    return found


class NothingToDrawError(UserError):
    """A picture would say nothing of this model or these data."""


class Names(NamedTuple):
    """What the labels of images are called, and their factors; none where there are none."""

    classes: Sequence[str] = ()
    factors: Sequence[str] = ()


NO_NAMES = Names()


@dataclass(frozen=True)
class Seen:
    """Images of a split, or the codes of more of them, from which a picture is drawn.

    Attributes:
        what: the images in words, such as "validation images".
        batch: the first images, where the model is; None where there are none.
        codes: of the first images; None where the model has no encoder or there are no images.
        names: of labels and factors.
        files: of the images of ``batch``; none where they have none.
        complete: whether the split has no more images than those of ``codes``.
        when: in the training, such as "at step 100".
        like: codes of another split, along whose axes a scatter is laid out.
    """

    what: str = "images"
    batch: Batch | None = None
    codes: LabelledCodes | None = None
    names: Names = NO_NAMES
    files: Sequence[str] = ()
    complete: bool = True
    when: str = ""
    like: Codes | None = None

    @property
    def required_batch(self) -> Batch:
        """The images; a NothingToDrawError where there are none."""
        if self.batch is None:
            raise NothingToDrawError("there are no images to look at.")
        return self.batch

    def name_of(self, image: int) -> str:
        """The class of an image of ``batch``, or its own name, or that of the split."""
        label = int(self.batch.labels[image]) if self.batch is not None else NO_CLASS
        if len(self.names.classes) > 1 and 0 <= label < len(self.names.classes):
            return self.names.classes[label]
        return self.files[image] if self.files else self.what.partition(" ")[0]


@dataclass(frozen=True, kw_only=True)
class Picture(ABC):
    """What a model shows, drawn during training by ``Draw`` and afterwards by ``draw``.

    A picture is a frozen dataclass, whose fields are its options.

    Attributes:
        requires: the capabilities that the model must have.
        of_codes: it looks at the codes of images in place of the images.
        of_test: a test is drawn, too.
        film: its columns are steps of a way.
        usual_epochs: training epochs from one picture to the next, unless they are given.
        least: the least value of each option that has one.

    Args:
        every_n_epochs: training epochs from one picture to the next, of which all are kept. None
            takes those that are usual, or more in a long training, which has at most 30 pictures.
    """

    requires: ClassVar[Needs] = ()
    of_codes: ClassVar[bool] = False
    of_test: ClassVar[bool] = False
    film: ClassVar[bool] = False
    usual_epochs: ClassVar[int] = 5
    least: ClassVar[dict[str, int]] = {}

    every_n_epochs: int | None = None

    def __post_init__(self) -> None:
        for option, least in {"every_n_epochs": 1, **self.least}.items():
            if (value := getattr(self, option)) is not None:
                check_number(f"{type(self).__name__}.{option}", value, least)

    @property
    def looks_at(self) -> int:
        """How many images it looks at, the first ones of a split."""
        return 0

    @property
    def num_drawn(self) -> int:
        """How many images it shows, at most; 0 of a chart, or of a few."""
        return 0 if self.of_codes else self.looks_at

    @property
    def takes_long(self) -> bool:
        """Whether it is drawn at the end of training alone."""
        return False

    @property
    def name(self) -> str:
        """What its files are called."""
        return snake_case(type(self).__name__)

    @abstractmethod
    def draw(self, model: Any, seen: Seen) -> View | Figure:  # noqa: ANN401  (what is required)
        """The picture, of a model in evaluation mode, without gradients.

        Raises:
            NothingToDrawError: it would say nothing.
            UserError: the images do not suffice.
        """

    def check(self, model: object, names: Names = NO_NAMES) -> None:
        """Raise a UserError where the model or the data lack what is shown."""
        name = type(self).__name__
        if not able(model, self.requires):
            require(model, self.requires, name, f"Leave {name} out or choose another model.")


@dataclass(frozen=True)
class CodePicture(Picture, ABC):
    """A picture of the codes of images.

    Args:
        num_images: the first so many are encoded.
    """

    of_codes = True
    least: ClassVar[dict[str, int]] = {"num_images": 2}

    num_images: int = 2000

    @property
    def looks_at(self) -> int:
        """The images that are encoded."""
        return self.num_images

    @staticmethod
    def codes_of(seen: Seen) -> LabelledCodes:
        """The codes; a NothingToDrawError where there are none."""
        if seen.codes is None:
            raise NothingToDrawError("there are no images to encode.")
        return seen.codes

    def codes_or_draw(self, model: Any, seen: Seen) -> LabelledCodes:  # noqa: ANN401
        """The codes; without images, or an encoder, one draw of the prior where there is one."""
        if seen.codes is None and isinstance(model, SamplesCodes):
            return unlabelled(model.sample_codes(1))
        return self.codes_of(seen)


def snake_case(name: str) -> str:
    """``LossCurves`` as ``loss_curves``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
