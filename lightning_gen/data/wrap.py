"""Any map-style dataset, such as torchvision's and Hugging Face's, as a datamodule."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any, ClassVar, NamedTuple, Unpack
from zlib import crc32

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor

from lightning_gen.contracts import Batch, DataInfo, ImageShape
from lightning_gen.data.base import ImageDataModule, check_tested, cut, expect
from lightning_gen.data.decoding import GREY_MODES, fit
from lightning_gen.data.image_folder import IN_MEMORY_BYTES, height_and_width
from lightning_gen.data.interfaces import CommonArguments, Source
from lightning_gen.data.loader import CPU, Split, TensorSource
from lightning_gen.errors import UserError
from lightning_gen.progress import progress

IMAGE_KEYS = ("image", "img", "pixel_values")
LABEL_KEYS = ("label", "labels", "fine_label", "target")
AT_ONCE = 256


class Wrap(ImageDataModule):
    """Any map-style dataset of images, of (image, label), or of dictionaries with ``image``.

    An image is one of Pillow's, a uint8 array, or floats in [0, 1]; tensors are [C, H, W], arrays
    of numpy [H, W, C]. What takes at most 1 GiB is read once and held in memory; more is read by
    workers, batch by batch. config.yaml cannot hold the datasets, so that verbs on the run take
    images of their own (``--images``).

    Args:
        train: the images to train on.
        test: those to test on; None cuts them from ``train``.
        val: those to validate on; None cuts them from what is left of ``train``.
        image_size: pixels of each side, or [height, width]: images are resized so that they just
            cover it, and cropped around their centre. None takes the first image's, which all must
            have.
        class_names: a name for each label; None takes those that the dataset knows.
        test_fraction: share of all images kept for testing where no ``test`` is given.
        num_workers: processes that read ahead where the images are not held in memory.
        **shared: those of :class:`ImageDataModule`.
    """

    unkept: ClassVar[tuple[str, ...]] = ("train", "test", "val")

    def __init__(
        self,
        train: Any,  # noqa: ANN401  (what torch's DataLoader takes)
        test: Any = None,  # noqa: ANN401
        val: Any = None,  # noqa: ANN401
        image_size: int | tuple[int, int] | None = None,
        class_names: tuple[str, ...] | None = None,
        test_fraction: float = 0.1,
        num_workers: int = 4,
        **shared: Unpack[CommonArguments],
    ) -> None:
        for split, given in (("train", train), ("test", test), ("val", val)):
            sized = hasattr(given, "__len__") and hasattr(given, "__getitem__")
            fits = sized and not isinstance(given, Mapping) and len(given) > (split == "train")
            what = "a dataset with a length and an item for each position, two or more to train on"
            remedy = "Turn an iterable into a list first, and pass each split by itself."
            expect(fits or (split != "train" and given is None), split, what,
                   type(given).__name__, remedy)  # fmt: skip
        check_tested(test_fraction, num_workers)
        first = Item.of(train[0])
        channels, *sides = pixels_of(first.image).shape
        height, width = height_and_width(tuple(sides) if image_size is None else image_size)
        classes = ("image",) if first.label is None else tuple(class_names or class_names_of(train))
        unique = len({name for name in classes if isinstance(name, str)}) == len(classes)
        expect(unique, "class_names", "a name for each class, no two the same",
               class_names, "Pass a tuple of texts.")  # fmt: skip
        self.info = DataInfo((channels, height, width), classes)
        super().__init__(**shared)
        self._given = {"train": train, "test": test, "val": val}
        self._test_fraction = test_fraction
        self.num_workers = num_workers

    def load(self, split: str) -> Source:
        """The images of "train", those for validation included, or of "test"."""
        if split == "test" and self._given["test"] is not None:
            return self._read("test")
        train = self._train
        return Split(train, self._cut[split == "test"]) if self._given["test"] is None else train

    def load_val(self) -> Source | None:
        """The images that were given for validation."""
        return None if self._given["val"] is None else self._read("val")

    @cached_property
    def _train(self) -> Source:
        return self._read("train")

    @cached_property
    def _cut(self) -> tuple[Tensor, Tensor]:
        """The positions of the images to train and to test on."""
        return cut(torch.arange(len(self._train)), self._test_fraction, "data.test_fraction")

    def _read(self, split: str) -> Source:
        size = self.hparams["image_size"]
        items = ItemSource(self._given[split], self.image_shape, len(self.info.class_names), size)
        if items.num_bytes <= IN_MEMORY_BYTES:
            return items.decoded()
        for name in ("binarize", "train_classes"):
            what = "nothing for images that are not held in memory"
            asked = self.hparams[name]
            expect(asked is None, name, what, asked, "Pass smaller images.")
        return items


class Item(NamedTuple):
    """An image as a dataset gives it, and its label; None where it gives none."""

    image: Any
    label: Any

    @classmethod
    def of(cls, found: object) -> "Item":
        """What an item of a dataset holds; a UserError where that is no image."""
        if isinstance(found, Mapping):
            images = [found[key] for key in IMAGE_KEYS if key in found]
            labels = [found[key] for key in LABEL_KEYS if key in found]
            if not images:
                raise UserError(
                    f"an item of the dataset has an image as one of {', '.join(IMAGE_KEYS)}, got "
                    f"{', '.join(map(str, found))}. Rename the column."
                )
            return cls(images[0], next(iter(labels), None))
        if isinstance(found, tuple | list) and found:
            return cls(found[0], found[1] if len(found) > 1 else None)
        return cls(found, None)


@dataclass(frozen=True)
class ItemSource:
    """A source that asks a dataset for each image.

    Attributes:
        dataset: the dataset.
        shape: (channels, height, width) of the images.
        num_classes: labels lie below it.
        image_size: what the user asked for; None refuses images of another shape.
    """

    dataset: Any
    shape: ImageShape
    num_classes: int
    image_size: object = None
    device = CPU

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, indices: Tensor) -> Batch:
        found = [Item.of(item) for item in self._items(indices.tolist())]
        images = [torch.from_numpy(self._pixels(item.image)) for item in found]
        labels = torch.tensor([self._label(item.label) for item in found])
        return Batch(torch.stack(images), labels, torch.empty(len(found), 0))

    @property
    def num_bytes(self) -> int:
        """Memory that the images take."""
        return len(self) * prod(self.shape)

    def decoded(self) -> TensorSource:
        """All images in memory, read with progress."""
        parts = []
        with progress(len(self), "reading images") as bar:
            for positions in torch.split(torch.arange(len(self)), AT_ONCE):
                parts.append(self[positions])
                bar.update(len(positions))
        images, labels, factors = (torch.cat(pieces) for pieces in zip(*parts, strict=True))
        return TensorSource(images, labels, factors, [crc32(image) for image in images.numpy()])

    def _items(self, positions: list[int]) -> Sequence[Any]:
        fetch = getattr(self.dataset, "__getitems__", None)  # a batch at once, of Hugging Face's
        if fetch is not None:
            return list(fetch(positions))
        return [self.dataset[position] for position in positions]

    def _pixels(self, image: Any) -> NDArray[np.uint8]:  # noqa: ANN401
        pixels = pixels_of(image)
        if pixels.shape == self.shape:
            return pixels
        if self.image_size is None:
            raise UserError(
                f"the images are {list(self.shape)} as the first one to train on, got "
                f"{list(pixels.shape)}. Set data.image_size to resize them."
            )
        whole = pixels.transpose(1, 2, 0)
        picture = Image.fromarray(whole[:, :, 0] if whole.shape[2] == 1 else whole)
        return fit(picture, self.shape)

    def _label(self, label: Any) -> int:  # noqa: ANN401
        try:
            number = 0 if label is None and self.num_classes == 1 else int(label)
        except (TypeError, ValueError, OverflowError):
            number = -1
        if not 0 <= number < self.num_classes or (label is not None and number != label):
            raise UserError(
                f"a label of the dataset is a number from 0 to {self.num_classes - 1}, got "
                f"{label!r}. Pass class_names, one for each number, or a dataset without labels."
            )
        return number


def pixels_of(image: Any) -> NDArray[np.uint8]:  # noqa: ANN401  (whatever a dataset gives)
    """An image as uint8 [C, H, W] of 1 or 3 channels; a UserError where it is none."""
    if isinstance(image, Image.Image):
        upright = ImageOps.exif_transpose(image)
        channels = 1 if image.mode in GREY_MODES else 3
        try:
            return fit(upright, (channels, upright.height, upright.width))
        except ValueError as error:
            raise UserError(
                f"an image of the dataset cannot be used: {error}. Convert it to 8 bits."
            ) from error
    if isinstance(image, Tensor):
        values = (image.float() if image.is_floating_point() else image).numpy(force=True)
    else:
        values = np.asarray(image)
    if values.ndim == 2:
        values = values[None]
    elif values.ndim == 3 and not isinstance(image, Tensor) and values.shape[2] in (1, 3):
        values = values.transpose(2, 0, 1)
    fraction = values.dtype.kind == "f"
    if (
        values.ndim != 3
        or values.size == 0
        or values.shape[0] not in (1, 3)
        or not (fraction or values.dtype == "u1")
    ):
        raise UserError(
            "an image of the dataset is Pillow's, a uint8 array or floats in [0, 1], with 1 or 3 "
            f"channels, got {type(image).__name__} {values.dtype} {list(values.shape)}."
        )
    if fraction and not (values.min() >= 0 and values.max() <= 1):
        raise UserError(
            f"floating-point images of the dataset lie in [0, 1], got {values.min():.3g} to "
            f"{values.max():.3g}. Drop the Normalize transform, or scale them."
        )
    return (255 * values).round().astype(np.uint8) if fraction else values


def class_names_of(dataset: object) -> Sequence[str]:
    """The names of the classes that torchvision's and Hugging Face's datasets know, or numbers."""
    found = getattr(dataset, "classes", None)
    features = getattr(dataset, "features", None)
    if isinstance(features, Mapping):
        labels = (features[key] for key in LABEL_KEYS if key in features)
        found = found or getattr(next(labels, None), "names", None)
    if not found:
        with suppress(TypeError, ValueError, AttributeError):  # none, or no numbers
            found = [str(number) for number in range(int(max(dataset.targets)) + 1)]  # type: ignore[attr-defined]
    if not found:
        raise UserError(
            "the items of the dataset have labels, and no names of their classes are known. Pass "
            'class_names, such as ("cat", "dog").'
        )
    return [str(name) for name in found]
