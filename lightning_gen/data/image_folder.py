"""Any folder of images, and what it shares with other datasets of image files."""

from abc import ABC
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Unpack

import torch
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn
from torch import Tensor

from lightning_gen.contracts import NO_CLASS, DataInfo
from lightning_gen.data.base import ImageDataModule, check_tested, cut, expect
from lightning_gen.data.cache import (
    AUTO,
    CachedImages,
    EncodedImages,
    cache_folder,
    open_or_build,
)
from lightning_gen.data.decoding import FolderFiles, Look, attempt_all, look
from lightning_gen.data.interfaces import EncodedShared, OfClasses, Source
from lightning_gen.data.loader import Split
from lightning_gen.data.trainer import OTHERS
from lightning_gen.data.unreadable import Unreadable, describe, leave_out
from lightning_gen.data.value_range import known_range
from lightning_gen.errors import UserError
from lightning_gen.hyperparameters import plain

IN_MEMORY_BYTES = 2**30
"""Up to this many bytes of pixels, a dataset is decoded once and held in memory."""
SMALL_BYTES = 2**24
"""Fewer bytes of pixels are decoded at every start, which takes a second or two."""
SPLIT_FOLDERS = {"train": "train", "test": "test"} | dict.fromkeys(
    ("val", "valid", "validation"), "val"
)


class EncodedDataModule(ImageDataModule, ABC):
    """Image files, decoded once into a cache on disk.

    Few are decoded into memory at every start. Without a cache they are too, where all their pixels
    fit there, and else by workers, batch by batch.

    Args:
        batch_size: images a batch on each device.
        test_fraction: share of all images kept for testing where none are given.
        num_workers: processes that decode ahead where the images are neither cached nor in memory.
        cache: folder that the images are decoded into, once; "auto" is that of the user's caches,
            and None decodes at every start.
        **shared: ``val_fraction``, ``images_on`` and ``train_classes`` of :class:`ImageDataModule`.
    """

    def __init__(
        self,
        batch_size: int = 64,
        test_fraction: float = 0.1,
        num_workers: int = 4,
        cache: str | None = AUTO,
        **shared: Unpack[OfClasses],
    ) -> None:
        super().__init__(batch_size, binarize=None, **shared)
        check_tested(test_fraction, num_workers)
        self.num_workers = num_workers
        self._test_fraction = test_fraction
        self._cache_folder = cache_folder(cache)

    def hold(self, images: EncodedImages, splits: Mapping[str, Tensor]) -> str:
        """Keep the images, and where those of each split are; a line says how many, and how held.

        Where no ``splits["test"]`` is given, it is cut from the training images. A UserError says
        that these are too few.
        """
        self._images, self._positions = images, dict(splits)
        if "test" not in splits:
            train = splits["train"]
            parts = cut(torch.arange(len(train)), self._test_fraction, "data.test_fraction")
            kept, held_out = (train[part.sort().values] for part in parts)
            self._positions |= {"train": kept, "test": held_out}
        counts = {
            name: int(Split(images, positions).are_of(self.info.normal_classes).sum())
            for name, positions in self._positions.items()
        }
        if "val" not in counts:
            train, val = cut(torch.arange(counts["train"]), self.val_fraction, "data.val_fraction")
            counts |= {"train": len(train), "val": len(val)}
        _, height, width = images.shape
        plan = "held in memory" if self._fit_in_memory else "decoded by workers"
        if images.num_bytes < SMALL_BYTES:
            self._cache_folder = None
        if self._cache_folder is not None:
            plan = f"decoded once, into {self._cache_folder}"
        return (
            f"{counts['train']} to train, {counts['val']} to validate, "
            f"{len(self._positions['test'])} to test; "
            f"{height}x{width} pixels (height x width); {plan}"
        )

    def state_dict(self) -> dict[str, Any]:
        """Also which files are tested on."""
        kept = super().state_dict()
        return kept and kept | {"tested_on": self._tested_on}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with a training, or warn of a test on other files than were kept apart from it."""
        super().load_state_dict(state_dict)
        tested_on = state_dict.get("tested_on", self._tested_on)
        if "test" in self.splits and tested_on != self._tested_on:
            rank_zero_warn(OTHERS.format("test"))

    @property
    def _tested_on(self) -> str:
        return Split(self._images, self._positions["test"]).digest

    def load_val(self) -> Split | None:
        """The given images for validation; None where there are none."""
        return self.load("val") if "val" in self._positions else None

    def load(self, split: str) -> Split:
        """The images of a split, without those that are known to be unreadable."""
        source, failures = self._held
        positions = self._positions[split]
        found = [failures.get(position) for position in positions.tolist()]
        return Split(source, positions[leave_out(found)] if any(found) else positions)

    @cached_property
    def _held(self) -> tuple[Source, Mapping[int, Unreadable]]:
        """All images, and which cannot be read, as far as that is known."""
        images = self._images
        if self._cache_folder is not None:
            images = open_or_build(images, self._cache_folder) or images
        if not self._fit_in_memory:
            return images, images.unreadable if isinstance(images, CachedImages) else {}
        source, failures = images.decoded()
        return source, {n: failure for n, failure in enumerate(failures) if failure}

    @property
    def _fit_in_memory(self) -> bool:
        return self._images.num_bytes <= IN_MEMORY_BYTES


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
        train_classes: names of the classes that are trained and validated on; None takes all. The
            test split keeps every class.
        value_range: what is black and white in files of more than 8 bits; by default 0 and the
            largest number of as many bits as the images use, such as 4095.
        **shared: those of :class:`EncodedDataModule`.

    Raises:
        UserError: there is no such folder, it holds too few readable images, or an argument is
            out of its range.
    """

    def __init__(
        self,
        root: str,
        image_size: int | tuple[int, int] = 64,
        channels: int | None = None,
        train_classes: tuple[str, ...] | None = None,
        value_range: tuple[float, float] | None = None,
        **shared: Unpack[EncodedShared],
    ) -> None:
        both = "1 (grey) or 3 (RGB)"
        expect(channels in (None, 1, 3), "channels", both, channels, "Leave it out.")
        if value_range is not None:
            low, high = value_range
            what = "[black, white], two rising numbers"
            expect(low < high, "value_range", what, [low, high], "Leave it out to have it found.")
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
        shape = (channels or (1 if grey else 3), *size)
        self.info = DataInfo(shape, layout.class_names)
        super().__init__(train_classes=train_classes, **shared)
        deep = [name for name, look in looks.items() if look.deep]
        if deep and value_range is None:
            value_range = known_range(files, deep, self._cache_folder)
        self.info = replace(self.info, value_range=value_range)
        self.hparams["value_range"] = plain(value_range)
        labels, none = torch.tensor(layout.labels), torch.empty(len(names), 0)
        images = EncodedImages(files, names, shape, labels, none, value_range)
        splits = {split: torch.tensor(positions) for split, positions in layout.splits.items()}
        held = self.hold(images, splits)
        beside = len(names) - sum(len(positions) for positions in splits.values())
        rank_zero_info(
            f"{root!r}: {len(names)} images{f' ({beside} in no split)' if beside else ''}, "
            f"number of classes: {len(layout.class_names)}, channels: {shape[0]}; {held}."
        )
        if layout.unknown:
            rank_zero_warn(
                f"in {root!r} {len(layout.unknown)} images lie in no folder of a class of train, "
                f"the first is {layout.unknown[0]!r}: they have no class (label -1)."
            )


def height_and_width(image_size: int | tuple[int, int]) -> tuple[int, int]:
    """(height, width) in pixels, of one number for a square or of both.

    A UserError says that it is something else, or a side is below 8 pixels.
    """
    sides = (image_size,) * 2 if isinstance(image_size, int) else tuple(image_size)
    holds = len(sides) == 2 and all(type(side) is int and side >= 8 for side in sides)
    what = "a number of pixels or [height, width], each at least 8"
    expect(holds, "image_size", what, repr(image_size), "Set it to 64.")
    return sides[0], sides[1]


def read_headers(files: FolderFiles) -> dict[str, Look]:
    """What the header of each image file says; unreadable ones are skipped with a warning.

    A UserError says that there is not one readable image.
    """
    names = files.names()
    looks, broken = attempt_all(files, names, look, "reading headers")
    if not looks:
        found = describe(broken, len(names)) if broken else "found none"
        raise UserError(
            f"expected images in {str(files.place)!r} or below, {found}. Set data.root to a folder "
            "of PNG, JPEG, WebP, GIF, BMP or TIFF files."
        )
    if broken:
        rank_zero_warn(f"in {str(files.place)!r} {describe(broken, len(names))}; they are skipped.")
    return looks


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
    splits: dict[str, list[int]] = {}
    for index, path in enumerate(paths):
        split = SPLIT_FOLDERS.get(path[0].lower()) if len(path) > 1 else None
        if split is not None:
            splits.setdefault(split, []).append(index)
    depth = 1 if "train" in splits and len(splits) > 1 else 0
    if depth == 0:
        splits = {"train": list(range(len(paths)))}
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
