"""Masks of defects, which tell whether the right pixels are unusual."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from jaxtyping import Bool, Float
from PIL import Image
from torch import Tensor

from lightning_gen.contracts import ImageShape
from lightning_gen.data.decoding import (
    FORMATS,
    FolderFiles,
    Stream,
    attempt,
    check_size,
    has_own_range,
    resize_and_crop,
)
from lightning_gen.data.unreadable import Unreadable
from lightning_gen.errors import UserError
from lightning_gen.metrics import AUROC

ErrorMaps = Float[Tensor, "n h w"]


class Masks:
    """A folder with a mask for each anomaly: bright is the defect, black or clear the rest.

    A mask is called as its image and lies in a folder of the same name; ``_mask`` may be behind. It
    is resized and cropped as the image is. A UserError says that there is no such folder.
    """

    def __init__(self, folder: Path, shape: ImageShape) -> None:
        folder = folder.expanduser()
        if not folder.is_dir():
            raise UserError(f"--masks {folder}: expected a folder of masks, bright at defects.")
        self._files, self._shape = FolderFiles(folder), (1, *shape[1:])
        self._names: dict[tuple[str, str], list[str]] = {}
        for name in self._files.names():
            *_, parent, stem = ("", *_parts(name))
            self._names.setdefault((parent, stem), []).append(name)
        self._auroc, self._counts = AUROC(), [0, 0]
        self._missing: list[str] = []

    def see(
        self, names: Sequence[str], kinds: Sequence[str], normal: Sequence[str], errors: ErrorMaps
    ) -> None:
        """Add the errors of images; those of ``normal`` kinds are so at every pixel."""
        for name, kind, error in zip(names, kinds, errors.cpu(), strict=True):
            if kind in normal:
                mask = torch.zeros(error.shape, dtype=torch.bool)
            elif (own := self._of(name, kind)) is None:
                self._missing.append(name)
                continue
            else:
                mask = self._read(own)
            defective = int(mask.sum())
            self._counts = [self._counts[0] + defective, self._counts[1] + mask.numel() - defective]
            self._auroc.update(error.flatten(), mask.flatten())

    def _of(self, name: str, kind: str) -> str | None:
        """The mask with the longest tail of folders in common; a UserError where two have it."""
        *folders, stem = _parts(name) if "/" in name else (kind, *_parts(name))
        found = self._names.get((folders[-1], stem), [])
        tails = [_common_tail(folders, _parts(each)[:-1]) for each in found]
        best = [each for each, tail in zip(found, tails, strict=True) if tail == max(tails)]
        if len(best) > 1:
            raise UserError(f"{best[0]} and {best[1]} are both masks of {name}. Move one away.")
        return best[0] if best else None

    def _read(self, name: str) -> Bool[Tensor, "h w"]:
        pixels = attempt(self._files, name, self._decode)
        if isinstance(pixels, Unreadable):
            raise UserError(f"the mask {name} cannot be read: {pixels.reason}.")
        return pixels

    def _decode(self, stream: Stream) -> Bool[Tensor, "h w"]:
        """Where a mask is brighter than half of its brightest pixel."""
        with Image.open(stream, formats=FORMATS) as image:
            check_size(image)
            if has_own_range(image):
                grey = np.asarray(image)
            else:
                clear = Image.new("RGBA", image.size, "black")
                grey = np.asarray(Image.alpha_composite(clear, image.convert("RGBA")).convert("L"))
        marked = Image.fromarray(np.where(grey > grey.max() / 2, 255, 0).astype(np.uint8))
        return torch.from_numpy(resize_and_crop(marked, self._shape)[0] > 127)

    @property
    def notes(self) -> list[str]:
        """Sentences about anomalies without a mask, and masks without a defect."""
        found = []
        if self._missing:
            some = f"{len(self._missing):,} unusual images have no mask, such as {self._missing[0]}"
            found.append(f"{some}: they are left out of the AUROC of pixels.")
        if min(self._counts) < 2:
            found.append("There is no AUROC of pixels: it takes defective and whole ones.")
        return found

    def area(self) -> float | None:
        """The AUROC over all pixels of normal images and those with a mask; None without both."""
        return float(self._auroc.compute().value) if min(self._counts) >= 2 else None


def _parts(name: str) -> tuple[str, ...]:
    path = PurePosixPath(name)
    return *path.parent.parts, path.stem.removesuffix("_mask")


def _common_tail(folders: Sequence[str], others: Sequence[str]) -> int:
    pairs = [a == b for a, b in zip(reversed(folders), reversed(others), strict=False)]
    return pairs.index(False) if False in pairs else len(pairs)
