"""Masks of defects, which tell whether the right pixels are unusual."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import torch
from jaxtyping import Float
from torch import Tensor

from lightning_gen.contracts import ImageShape
from lightning_gen.data.decoding import FolderFiles, attempt, decode_image
from lightning_gen.data.unreadable import Unreadable
from lightning_gen.errors import UserError
from lightning_gen.metrics import AUROC

ErrorMaps = Float[Tensor, "n h w"]


class Masks:
    """A folder with a mask for each anomaly: white is the defect, black the rest.

    A mask is called as its image and lies in a folder of the same name; ``_mask`` may be behind. It
    is resized and cropped as the image is. A UserError says that the folder holds none.
    """

    def __init__(self, folder: Path, shape: ImageShape) -> None:
        folder = folder.expanduser()
        if not folder.is_dir():
            raise UserError(
                f"--masks {folder}: expected a folder of images, white where defects are."
            )
        self._files, self._shape = FolderFiles(folder), (1, *shape[1:])
        self._names = {_key(name): name for name in self._files.names()}
        self._auroc = AUROC()
        self._seen, self._missing = 0, list[str]()

    def see(self, names: Sequence[str], normal: Sequence[bool], errors: ErrorMaps) -> None:
        """Add the errors of images; those that are normal are so at every pixel."""
        for name, fine, error in zip(names, normal, errors.cpu(), strict=True):
            mask = torch.zeros(error.shape, dtype=torch.bool) if fine else self._read(name)
            if mask is None:
                self._missing.append(name)
            else:
                self._seen += bool(mask.any())
                self._auroc.update(error.flatten(), mask.flatten())

    def _read(self, name: str) -> Tensor | None:
        if (own := self._names.get(_key(name))) is None:
            return None
        pixels = attempt(self._files, own, lambda stream: decode_image(stream, self._shape))
        if isinstance(pixels, Unreadable):
            raise UserError(f"the mask {own} cannot be read: {pixels.reason}.")
        return torch.from_numpy(pixels[0] > 127)

    @property
    def notes(self) -> list[str]:
        """A sentence about anomalies without a mask, where there are any."""
        if not self._missing:
            return []
        return [f"{len(self._missing):,} anomalies have no mask, such as {self._missing[0]}."]

    def area(self) -> float | None:
        """The AUROC over all pixels of normal images and those with a mask; None without these."""
        return float(self._auroc.compute().value) if self._seen else None


def _key(name: str) -> tuple[str, str]:
    path = PurePosixPath(name)
    return path.parent.name, path.stem.removesuffix("_mask")
