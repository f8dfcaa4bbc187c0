"""The types that all datasets share: their arguments, and where their images are."""

from typing import Literal, Protocol, TypedDict, runtime_checkable

import torch
from torch import Tensor

from lightning_gen.contracts import Batch

Binarize = Literal["static", "dynamic"]

ImagesOn = Literal["auto", "cpu", "accelerator"]
"""Where images are held: "auto" is the accelerator if they take at most half of what is free."""


class Always(TypedDict, total=False):
    """What every dataset takes."""

    val_fraction: float
    images_on: ImagesOn
    mirror: bool


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


class EncodedShared(Tested, total=False):
    """What datasets of image files take."""

    num_workers: int
    cache: str | None


@runtime_checkable
class Source(Protocol):
    """Images that are fetched a whole batch at a time, as uint8."""

    @property
    def device(self) -> torch.device:
        """Where the batches are made."""

    def __len__(self) -> int:
        """How many images there are."""

    def __getitem__(self, indices: Tensor) -> Batch:
        """The batch at these positions."""


@runtime_checkable
class Movable(Source, Protocol):
    """A source that can be held on any device."""

    @property
    def num_bytes(self) -> int:
        """Memory that it takes there."""

    def to(self, device: torch.device) -> Source:
        """The same images there."""
