"""Any folder of images."""

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Unpack

import numpy as np
import torch
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn

from lightning_gen.atomic import write_text
from lightning_gen.contracts import NO_CLASS
from lightning_gen.data.arguments import expect, height_and_width
from lightning_gen.data.cache import folder_of
from lightning_gen.data.decoding import Look, ValueRange, describe, extremes, look
from lightning_gen.data.encoded import EncodedDataModule, EncodedShared
from lightning_gen.data.files import Files, FolderFiles, attempt_all
from lightning_gen.data.sources import EncodedImages
from lightning_gen.errors import UserError
from lightning_gen.hyperparameters import plain

SPLIT_FOLDERS = {"train": "train", "test": "test"} | dict.fromkeys(
    ("val", "valid", "validation"), "val"
)


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
        self.image_shape = (channels or (1 if grey else 3), *size)
        self.class_names = layout.class_names
        super().__init__(train_classes=train_classes, **shared)
        deep = [name for name, look in looks.items() if look.deep]
        if deep and value_range is None:
            value_range = known_range(files, deep, self._cache_folder)
        self.hparams["value_range"] = plain(value_range)
        labels, none = torch.tensor(layout.labels), torch.empty(len(names), 0)
        images = EncodedImages(files, names, self.image_shape, labels, none, value_range)
        splits = {split: torch.tensor(positions) for split, positions in layout.splits.items()}
        held = self.hold(images, splits)
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


def known_range(files: Files, names: Sequence[str], folder: Path | None) -> ValueRange | None:
    """The range of the values of files of more than 8 bits, which a line says.

    It is 0 and the largest number of as many bits as hold the largest value, 1 to 16: 4095 for
    3871. The extremes are kept in ``folder``, below which caches lie: finding them reads all files.
    None where all have colours.

    Raises:
        UserError: none can be read, the values are negative, larger than 65535, or no numbers, or
            files with colours do not use the upper of their 16 bits.
    """
    kept = folder and folder_of(folder, files) / f"{files.state(names)[:16]}.range"
    try:
        found = json.loads(kept.read_text()) if kept else None
    except (OSError, ValueError):
        found = None
    if found is None:
        found = _find_extremes(files, names)
        if kept:
            with suppress(OSError, UserError):
                write_text(kept, json.dumps(found))
    if not found:
        return None
    low, high = found
    if not (low >= 0 and high <= 2**16 - 1):
        raise UserError(
            f"files of more than 8 bits hold values from {low:g} to {high:g}, and which of these "
            "are black and white is not known. Set data.value_range to [black, white]."
        )
    white = float(next(2**bits - 1 for bits in range(1, 17) if high <= 2**bits - 1))
    rank_zero_info(
        f"values {low:g} to {high:g} found in {len(names)} files of more than 8 bits: "
        f"scaled by {white:g} (data.value_range sets another range)."
    )
    return 0.0, white


def _find_extremes(files: Files, names: Sequence[str]) -> list[float]:
    """The smallest and the largest value; none of files with colours."""
    found, broken = attempt_all(files, names, extremes, "reading the range of values")
    if not found:
        raise UserError(f"{describe(broken, len(names))}. Replace or remove them.")
    colours = [high for _, high, cut in found.values() if cut]
    if colours and max(colours) < 128:
        raise UserError(
            f"{len(colours)} files have colours of 16 bits, of which only 8 are read, and these go "
            f"up to {max(colours):g} of 255: the images would be nearly black. Convert them to 8 "
            "bits."
        )
    own = np.array([(low, high) for low, high, cut in found.values() if not cut])
    return [own[:, 0].min().item(), own[:, 1].max().item()] if len(own) else []
