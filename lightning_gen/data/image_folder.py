"""Any folder of images, and what it shares with other datasets of image files."""

from abc import ABC
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import torch
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn
from torch import Tensor

from lightning_gen.contracts import NO_CLASS
from lightning_gen.data.base import ImageDataModule, check_test_fraction, check_workers, cut
from lightning_gen.data.cache import (
    AUTO,
    CachedImages,
    CacheFile,
    cache_folder,
    known_range,
    open_or_build,
)
from lightning_gen.data.decoding import Look, Unreadable, describe, height_and_width, look
from lightning_gen.data.files import Files, FolderFiles, attempt_all
from lightning_gen.data.sources import EncodedImages, ImagesOn, Source
from lightning_gen.errors import UserError
from lightning_gen.hyperparameters import plain

IN_MEMORY_BYTES = 2**30
"""Up to this many bytes of pixels, a dataset is decoded once and held in memory."""
SMALL_BYTES = 2**24
"""Fewer bytes of pixels are decoded at every start, which takes a second or two."""
SPLIT_FOLDERS = {
    "train": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
}


class EncodedDataModule(ImageDataModule, ABC):
    """Image files, decoded once into a cache on disk.

    Few are decoded into memory at every start. Without a cache they are too, where all their pixels
    fit there, and else by workers, batch by batch. The arguments are those of :class:`ImageFolder`.
    """

    def __init__(
        self,
        batch_size: int,
        val_fraction: float,
        num_workers: int,
        cache: str | None,
        images_on: ImagesOn,
        train_classes: tuple[str, ...] | None = None,
    ) -> None:
        super().__init__(batch_size, val_fraction, train_classes=train_classes, images_on=images_on)
        self.num_workers = check_workers(num_workers)
        self._cache_folder = cache_folder(cache)

    def hold(
        self, images: EncodedImages, splits: Mapping[str, Tensor], test_fraction: float
    ) -> str:
        """Keep the images of each split.

        Args:
            images: all images.
            splits: positions of the images of "train" and, where given, of "val" and "test".
            test_fraction: share of the training images kept for testing where no test images are
                given.

        Returns:
            A line about the sizes of the splits, the size of the images and their place.

        Raises:
            UserError: there are too few images for the fractions.
        """
        self._images, self._positions = images, dict(splits)
        if "test" not in splits:
            train = splits["train"]
            parts = cut(torch.arange(len(train)), test_fraction, "data.test_fraction")
            kept, held_out = (train[part.sort().values] for part in parts)
            self._positions |= {"train": kept, "test": held_out}
        counts = {
            split: int(self._is_normal(images, positions).sum())
            if split != "test"
            else len(positions)
            for split, positions in self._positions.items()
        }
        if "val" not in counts:
            train, val = cut(torch.arange(counts["train"]), self.val_fraction, "data.val_fraction")
            counts |= {"train": len(train), "val": len(val)}
        _, height, width = images.shape
        return (
            f"{counts['train']} to train, {counts['val']} to validate, {counts['test']} to test; "
            f"{height}x{width} pixels (height x width); {self._plan()}"
        )

    def load_train(self) -> Source:
        """The training images; those for validation included unless they are given."""
        return self._load("train")

    def load_val(self) -> Source | None:
        """The given images for validation; None where there are none."""
        return self._load("val") if "val" in self._positions else None

    def load_test(self) -> Source:
        """The test images."""
        return self._load("test")

    def _load(self, split: str) -> Source:
        positions = self._positions[split]
        if self._cache is None:
            images = self._images.subset(positions)
        else:
            images = CachedImages.within(self._images, positions, self._cache)
        return images.decoded() if self._fit_in_memory else images

    @cached_property
    def _cache(self) -> CacheFile | None:
        """The decoded images on disk; None where there is no cache."""
        if self._cache_folder is None or self._images.num_bytes < SMALL_BYTES:
            return None
        return open_or_build(self._images, self._cache_folder)

    @property
    def _fit_in_memory(self) -> bool:
        return self._images.num_bytes <= IN_MEMORY_BYTES

    def _plan(self) -> str:
        if self._cache_folder is not None and self._images.num_bytes >= SMALL_BYTES:
            return f"decoded once, into {self._cache_folder}"
        return "held in memory" if self._fit_in_memory else "decoded by workers"


class ImageFolder(EncodedDataModule):
    """The images below a folder, nested or flat.

    If all lie in two or more subfolders, these are the classes; otherwise there is one class. A
    subfolder ``train`` beside ``test`` or ``val`` (``valid``, ``validation``) gives the splits,
    and the classes lie below ``train``; images of the others that lie in no folder of these names
    have no class (label -1). A split that is not given is cut at random from the training
    images, the same ones each time. Every image is resized so that it just covers ``image_size``,
    then cropped around its centre. The images are decoded once, into a cache on disk, and read from
    it ever after; up to 1 GiB of pixels are held in memory, 16 MiB without a cache.

    Args:
        root: the folder.
        image_size: [height, width] in pixels, or one number for both; at least 8.
        channels: 1 (grey) or 3 (RGB); by default 1 if every file is grey, else 3.
        batch_size: images a batch on each device.
        val_fraction: share of the training images kept for validation.
        test_fraction: share of all images kept for testing.
        num_workers: processes that decode ahead where the images are neither cached nor in memory.
        cache: folder that the images are decoded into, once; "auto" is that of the user's caches,
            and None decodes at every start.
        images_on: "accelerator" or "cpu" holds decoded images there; "auto" holds them on a GPU if
            they take at most half of its free memory.
        train_classes: names of the classes that are trained and validated on; None takes all. The
            test split keeps every class.
        value_range: what is black and white in files of more than 8 bits; by default 0 and the
            largest number of as many bits as the images use, such as 4095.

    Raises:
        UserError: there is no such folder, it holds too few readable images, or an argument is
            out of its range.
    """

    def __init__(
        self,
        root: str,
        image_size: int | tuple[int, int] = 64,
        channels: int | None = None,
        batch_size: int = 64,
        val_fraction: float = 0.1,
        test_fraction: float = 0.1,
        num_workers: int = 4,
        cache: str | None = AUTO,
        images_on: ImagesOn = "auto",
        train_classes: tuple[str, ...] | None = None,
        value_range: tuple[float, float] | None = None,
    ) -> None:
        check_test_fraction(test_fraction)
        if channels not in (None, 1, 3):
            raise UserError(f"data.channels is 1 (grey) or 3 (RGB), got {channels}. Leave it out.")
        if value_range is not None and not value_range[0] < value_range[1]:
            raise UserError(
                f"data.value_range is [black, white], two rising numbers, got {[*value_range]}. "
                "Leave it out to have it found."
            )
        size = height_and_width(image_size)
        folder = Path(root).expanduser()
        if not folder.is_dir():
            what = "is a file" if folder.exists() else "does not exist"
            raise UserError(
                f"data.root {root!r} {what}, expected a folder of images. Set data.root to one"
                f"{' and unpack archives first' if folder.exists() else ''}."
            )
        files = FolderFiles(folder)
        looks = read_headers(files)
        names = [*looks]
        layout = read_layout(names)
        grey = all(look.grey for look in looks.values())
        self.image_shape = (channels or (1 if grey else 3), *size)
        self.class_names = layout.class_names
        super().__init__(batch_size, val_fraction, num_workers, cache, images_on, train_classes)
        deep = [name for name, look in looks.items() if look.deep]
        if deep and value_range is None:
            value_range = known_range(files, deep, cache_folder(cache))
        self.hparams["value_range"] = plain(value_range)
        images = EncodedImages.of(files, names, self.image_shape, torch.tensor(layout.labels))
        splits = {split: torch.tensor(positions) for split, positions in layout.splits.items()}
        held = self.hold(replace(images, value_range=value_range), splits, test_fraction)
        beside = len(names) - sum(len(positions) for positions in splits.values())
        rank_zero_info(
            f"{root!r}: {len(names)} images{f' ({beside} in no split)' if beside else ''}, "
            f"number of classes: {self.num_classes}, channels: {self.image_shape[0]}; {held}."
        )
        if layout.unknown:
            rank_zero_warn(
                f"in {root!r} {len(layout.unknown)} images lie in no folder of a class of train, "
                f"the first is {layout.unknown[0]!r}: they have no class (label -1)."
            )


def read_headers(files: FolderFiles) -> dict[str, Look]:
    """What the header of each image file says; unreadable ones are skipped with a warning.

    Raises:
        UserError: there is not one readable image.
    """
    names = files.names()
    looks = headers(files, names)
    broken = [look for look in looks if isinstance(look, Unreadable)]
    if len(broken) == len(names):
        found = describe(broken, len(names)) if broken else "found none"
        raise UserError(
            f"expected images in {str(files.place)!r} or below, {found}. Set data.root to a folder "
            "of PNG, JPEG, WebP, GIF, BMP or TIFF files."
        )
    if broken:
        rank_zero_warn(f"in {str(files.place)!r} {describe(broken, len(names))}; they are skipped.")
    pairs = zip(names, looks, strict=True)
    return {name: look for name, look in pairs if not isinstance(look, Unreadable)}


def headers(files: Files, names: Sequence[str]) -> list[Look | Unreadable]:
    """What the header of each file says."""
    return attempt_all(files, names, look, "reading headers")


class Layout(NamedTuple):
    """What the folders say about the images below them.

    Attributes:
        splits: positions of the images of "train" and, where given, of "val" and "test".
        labels: the class of each image, NO_CLASS where it is not known.
        class_names: the names of the folders that are classes, or "image".
        unknown: the names of the images of a split without a class.
    """

    splits: dict[str, list[int]]
    labels: list[int]
    class_names: tuple[str, ...]
    unknown: list[str]


def read_layout(names: Sequence[str]) -> Layout:
    """Find splits and classes.

    A top folder ``train`` beside one for validation or test gives the splits; what lies beside
    them is in none. If all training images lie in two or more folders (of the root, or of
    ``train``), these are the classes.
    """
    paths = [name.split("/") for name in names]
    splits = _given_splits(paths)
    depth = 1 if splits else 0
    splits = splits or {"train": list(range(len(paths)))}
    folders = [path[depth] if len(path) > depth + 1 else None for path in paths]
    trained = {folders[index] for index in splits["train"]}
    classes = sorted(name for name in trained if name is not None)
    if len(classes) < 2 or None in trained:
        return Layout(splits, [0] * len(paths), ("image",), [])
    numbers = {name: number for number, name in enumerate(classes)}
    labels = [NO_CLASS if name is None else numbers.get(name, NO_CLASS) for name in folders]
    used = [index for part in splits.values() for index in part]
    unknown = [names[index] for index in used if labels[index] == NO_CLASS]
    return Layout(splits, labels, tuple(classes), unknown)


def _given_splits(paths: Sequence[Sequence[str]]) -> dict[str, list[int]]:
    splits: dict[str, list[int]] = {}
    for index, path in enumerate(paths):
        split = SPLIT_FOLDERS.get(path[0].lower()) if len(path) > 1 else None
        if split is not None:
            splits.setdefault(split, []).append(index)
    return splits if "train" in splits and len(splits) > 1 else {}
