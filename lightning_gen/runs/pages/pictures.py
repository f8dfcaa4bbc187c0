"""The pictures of a run's directory."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from lightning_gen.runs.pages.captions import caption, place

SMALL = 360
"""Pixels of the longer side of an earlier picture."""


@dataclass(frozen=True)
class Picture:
    """A picture, and the training step that it is of.

    Attributes:
        label: such as ``step 844``.
        image: the picture.
    """

    label: str
    image: Image.Image


@dataclass(frozen=True)
class Series:
    """The pictures of one callback.

    Attributes:
        kind: the name of their folder.
        latest: the last one.
        earlier: the first and the middle one, where there are more than two.
        broken: names of files that cannot be read.
    """

    kind: str
    latest: Picture | None
    earlier: list[Picture]
    broken: list[str]

    @property
    def title(self) -> str:
        """What they are."""
        return caption(self.kind).title

    @property
    def text(self) -> str:
        """How to read them."""
        return caption(self.kind).text


def read_series(images: Path, without: frozenset[str] = frozenset()) -> list[Series]:
    """All kinds of pictures below ``images/``, those of the folders ``without`` left out."""
    kinds = sorted((path.name for path in images.glob("*") if any(path.glob("*.png"))), key=place)
    return [_read(images / kind) for kind in kinds if kind not in without]


def _read(folder: Path) -> Series:
    paths = sorted(folder.glob("*.png"))
    chosen = [paths[0], paths[len(paths) // 2]] if len(paths) > 2 else paths[:-1]
    broken: list[str] = []
    earlier = list(_open(chosen, broken))
    latest = next(_open(paths[-1:], broken), None)
    return Series(folder.name, latest, earlier, broken)


def _open(paths: list[Path], broken: list[str]) -> Iterator[Picture]:
    for path in paths:
        try:
            with Image.open(path, formats=("PNG",)) as file:
                image = file.convert("RGB")
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            broken.append(f"{path.parent.name}/{path.name}")
        else:
            yield Picture(f"step {int(path.stem):,}" if path.stem.isdigit() else path.stem, image)
