"""Any map-style dataset, such as torchvision's and Hugging Face's, as a datamodule."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar, Unpack
from zlib import crc32

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor

from lightning_gen.contracts import Batch, DataInfo, ImageShape
from lightning_gen.data.base import ImageDataModule, check_tested, cut, expect
from lightning_gen.data.decoding import GREY_MODES, resize_and_crop
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
        image, label = parts_of(train[0])
        channels, *sides = pixels_of(image).shape
        height, width = height_and_width(tuple(sides) if image_size is None else image_size)
        classes = ("image",) if label is None else tuple(class_names or class_names_of(train))
        unique = len({name for name in classes if isinstance(name, str)}) == len(classes)
        expect(unique, "class_names", "a name for each class, no two the same",
               class_names, "Pass a tuple of texts.")  # fmt: skip
        self.info = DataInfo((channels, height, width), classes)
        super().__init__(**shared)
        self.num_workers = num_workers
        self._given = {"train": train, "test": test, "val": val}
        self._cut: dict[str, Tensor] = {}
        self._read: dict[int, Source] = {}
        if test is None:
            kept, held_out = cut(torch.arange(len(train)), test_fraction, "data.test_fraction")
            self._given["test"], self._cut = train, {"train": kept, "test": held_out}

    def load(self, split: str) -> Source:
        """The images of "train", those for validation included, or of "test"."""
        given = self._given[split]
        if id(given) not in self._read:
            self._read[id(given)] = self._source(given)
        source = self._read[id(given)]
        return Split(source, self._cut[split]) if split in self._cut else source

    def load_val(self) -> Source | None:
        """The images that were given for validation."""
        return None if self._given["val"] is None else self.load("val")

    def _source(self, dataset: Any) -> Source:  # noqa: ANN401
        size = self.hparams["image_size"]
        items = ItemSource(dataset, self.image_shape, len(self.info.class_names), size)
        if items.num_bytes <= IN_MEMORY_BYTES:
            return items.decoded()
        for name in ("binarize", "train_classes"):
            what = "nothing for images that are not held in memory"
            asked = self.hparams[name]
            expect(asked is None, name, what, asked, "Pass smaller images.")
        return items


def parts_of(item: object) -> tuple[Any, Any]:
    """The image that an item of a dataset holds, and its label; None where it has none.

    A UserError says that it has no image.
    """
    if isinstance(item, Mapping):
        images = [item[key] for key in IMAGE_KEYS if key in item]
        labels = [item[key] for key in LABEL_KEYS if key in item]
        if not images:
            raise UserError(
                f"an item of the dataset has an image as one of {', '.join(IMAGE_KEYS)}, got "
                f"{', '.join(map(str, item))}. Rename the column."
            )
        return images[0], next(iter(labels), None)
    if isinstance(item, tuple | list) and item:
        return item[0], item[1] if len(item) > 1 else None
    return item, None


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
        positions = indices.tolist()
        fetch = getattr(self.dataset, "__getitems__", None)  # a batch at once, of Hugging Face's
        items = fetch(positions) if fetch else map(self.dataset.__getitem__, positions)
        images, labels = zip(*map(parts_of, items), strict=True)
        pixels = torch.stack([torch.from_numpy(self._pixels(image)) for image in images])
        numbers = torch.tensor([self._label(label) for label in labels])
        return Batch(pixels, numbers, torch.empty(len(numbers), 0))

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
        return resize_and_crop(picture, self.shape)

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
            return resize_and_crop(upright, (channels, upright.height, upright.width))
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
    shaped = values.ndim == 3 and values.size > 0 and values.shape[0] in (1, 3)
    if not (shaped and (fraction or values.dtype == np.uint8)):
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
