"""What a folder of images holds: the readable files, their splits and their classes."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from lightning.pytorch.utilities import rank_zero_warn

from lightning_gen.data.decoding import is_grey
from lightning_gen.data.files import Files, FolderFiles
from lightning_gen.data.threads import in_threads
from lightning_gen.data.unreadable import Unreadable, describe
from lightning_gen.errors import UserError

SPLIT_FOLDERS = {
    "train": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
}


def existing_folder(root: str) -> Path:
    """``root`` as a path.

    Raises:
        UserError: it is no folder.
    """
    folder = Path(root).expanduser()
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise UserError(
            f"data.root {root!r} {what}, expected a folder of images. Set data.root to one"
            f"{' and unpack archives first' if folder.exists() else ''}."
        )
    return folder


class Headers(NamedTuple):
    """The readable files of a folder, sorted by name, and whether each is grey."""

    names: list[str]
    grey: list[bool]


def read_headers(files: FolderFiles) -> Headers:
    """Look at the header of each image file; unreadable ones are skipped with a warning.

    Raises:
        UserError: there is not one readable image.
    """
    names = files.names()
    looks = in_threads(lambda index: _look(files, names[index]), len(names), "reading headers")
    broken = [look for look in looks if isinstance(look, Unreadable)]
    if len(broken) == len(names):
        found = describe(broken, len(names)) if broken else "found none"
        raise UserError(
            f"expected images in {str(files.root)!r} or below, {found}. Set data.root to a folder "
            "of PNG, JPEG, WebP, GIF, BMP or TIFF files."
        )
    if broken:
        rank_zero_warn(f"in {str(files.root)!r} {describe(broken, len(names))}; they are skipped.")
    pairs = zip(names, looks, strict=True)
    whole = [(name, look) for name, look in pairs if not isinstance(look, Unreadable)]
    return Headers([name for name, _ in whole], [grey for _, grey in whole])


def _look(files: Files, name: str) -> bool | Unreadable:
    try:
        with files.open(name) as stream:
            return is_grey(stream)
    except Exception as error:  # Pillow raises nearly anything at broken bytes
        return Unreadable.because(name, error)


class Layout(NamedTuple):
    """What the folders say about the images below them.

    Attributes:
        splits: positions of the images of "train" and, where given, of "val" and "test".
        labels: the class of each image, 0 for those in no split.
        class_names: the names of the folders that are classes, or "image".
    """

    splits: dict[str, list[int]]
    labels: list[int]
    class_names: tuple[str, ...]


def read_layout(names: Sequence[str]) -> Layout:
    """Find splits and classes.

    A top folder ``train`` beside one for validation or test gives the splits; what lies beside
    them is in none. All images in two or more folders (of the root, or of the split folders) give
    the classes.
    """
    paths = [name.split("/") for name in names]
    splits = _given_splits(paths)
    depth = 1 if splits else 0
    splits = splits or {"train": list(range(len(paths)))}
    used = [index for part in splits.values() for index in part]
    folders = {index: paths[index][depth] for index in used if len(paths[index]) > depth + 1}
    classes = sorted(set(folders.values()))
    if len(classes) < 2 or len(folders) < len(used):
        return Layout(splits, [0] * len(paths), ("image",))
    numbers = {name: number for number, name in enumerate(classes)}
    labels = [numbers[folders[index]] if index in folders else 0 for index in range(len(paths))]
    return Layout(splits, labels, tuple(classes))


def _given_splits(paths: Sequence[Sequence[str]]) -> dict[str, list[int]]:
    splits: dict[str, list[int]] = {}
    for index, path in enumerate(paths):
        split = SPLIT_FOLDERS.get(path[0].lower()) if len(path) > 1 else None
        if split is not None:
            splits.setdefault(split, []).append(index)
    return splits if "train" in splits and len(splits) > 1 else {}
