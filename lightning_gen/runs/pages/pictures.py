"""The pictures of a run's directory."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from lightning_gen.runs.pages.captions import CAPTIONS, Caption, caption


class Picture(NamedTuple):
    """A picture, and the training step that it is of, such as ``step 844``."""

    label: str
    image: Image.Image


class Series(NamedTuple):
    """The pictures of one callback.

    Attributes:
        kind: the name of their folder.
        caption: what they are, and how to read them.
        latest: the last one.
        earlier: the first and the middle one, where there are more than two.
        broken: names of files that cannot be read.
    """

    kind: str
    caption: Caption
    latest: Picture | None
    earlier: list[Picture]
    broken: list[str]


def read_series(images: Path, without: frozenset[str] = frozenset()) -> list[Series]:
    """All kinds of pictures below ``images/``, those of the folders ``without`` left out."""
    kinds = {path.parent.name for path in images.glob("*/*.png")} - without
    known = [kind for kind in CAPTIONS if kind in kinds]
    return [_read(images / kind) for kind in (*known, *sorted(kinds - set(known)))]


def _read(folder: Path) -> Series:
    paths = sorted(folder.glob("*.png"))
    chosen = [paths[0], paths[len(paths) // 2]] if len(paths) > 2 else paths[:-1]
    broken: list[str] = []
    earlier = list(_open(chosen, broken))
    latest = next(_open(paths[-1:], broken), None)
    return Series(folder.name, caption(folder.name), latest, earlier, broken)


def _open(paths: list[Path], broken: list[str]) -> Iterator[Picture]:
    for path in paths:
        try:
            with Image.open(path, formats=("PNG",)) as file:
                image = file.convert("RGB")
        except Exception:  # Pillow raises nearly anything at broken bytes
            broken.append(f"{path.parent.name}/{path.name}")
        else:
            step = path.stem
            yield Picture(f"step {int(step):,}" if step.isdecimal() else step, image)
