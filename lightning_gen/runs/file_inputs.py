"""Image files for a finished run: one, or all below a folder."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from lightning.pytorch import LightningModule
from numpy.typing import NDArray

from lightning_gen.contracts import Batch, Conditional
from lightning_gen.data.decoding import (
    FolderFiles,
    ValueRange,
    attempt,
    attempt_all,
    decode_image,
    look,
)
from lightning_gen.data.image_folder import read_layout
from lightning_gen.data.unreadable import Unreadable, describe
from lightning_gen.data.value_range import known_range
from lightning_gen.errors import UserError
from lightning_gen.runs.finished import FinishedRun
from lightning_gen.runs.inputs import Inputs, NamedBatch
from lightning_gen.training.checkpoint import load_checkpoint


class FileInputs(Inputs):
    """An image file, or all below a folder, brought to the shape that the model takes.

    They are decoded in threads. If the folder has class subfolders, these give the labels; a
    conditional model takes them as its classes. A UserError says that there is no image.
    """

    def __init__(self, run: FinishedRun, path: Path, batch_size: int = 256) -> None:
        path = path.expanduser()
        if not path.is_file() and not path.is_dir():  # a pipe would block for ever
            kinds = ("there is no such file or folder", "it is neither a file nor a folder")
            raise UserError(f"--images {path}: {kinds[path.exists()]}.")
        self._files = FolderFiles(path if path.is_dir() else path.parent)
        self._names = self._files.names() if path.is_dir() else [path.name]
        if not self._names:
            raise UserError(f"--images {path}: expected images in it or below, found none.")
        self._shape = run.image_shape
        self._device = run.model.device
        self._batch_size = batch_size
        self._broken: list[Unreadable] = []
        self._label(run.model)
        self._value_range = self._find_range(run)

    def _find_range(self, run: FinishedRun) -> ValueRange | None:
        """The range of files of more than 8 bits: that of the training's, else found."""
        looks, _ = attempt_all(self._files, self._names, look, "reading headers")
        deep = [name for name, found in looks.items() if found.deep]
        if not deep:
            return None
        trained = load_checkpoint(run.checkpoint).get("datamodule_hyper_parameters", {})
        if known := trained.get("value_range"):
            return known[0], known[1]
        return known_range(self._files, deep, None)

    def _label(self, model: LightningModule) -> None:
        layout = read_layout(self._names)
        self.class_names = layout.class_names if len(layout.class_names) > 1 else ()
        self._labels = torch.tensor(layout.labels)
        if not isinstance(model, Conditional):
            return
        known = model.examples()
        named = self.class_names and not layout.unknown and set(self.class_names) <= set(known)
        if not named or any(label.ndim for label in known.values()):
            raise UserError(
                f"{type(model).__name__} must know the condition of each image ({', '.join(known)})"
                ", and these files do not tell it. Put them into subfolders called by its classes, "
                "or use --split."
            )
        numbers = [int(known[name]) for name in self.class_names]
        self._labels = torch.tensor([numbers[label] for label in layout.labels])
        self.class_names = tuple(known)

    def __len__(self) -> int:
        return len(self._names)

    def __iter__(self) -> Iterator[NamedBatch]:
        self._broken = []
        with ThreadPoolExecutor(os.cpu_count()) as threads:
            for start in range(0, len(self), self._batch_size):
                part = range(start, min(start + self._batch_size, len(self)))
                read = dict(zip(part, threads.map(self._read, part), strict=True))
                self._broken += [each for each in read.values() if isinstance(each, Unreadable)]
                whole = {i: each for i, each in read.items() if not isinstance(each, Unreadable)}
                if whole:
                    images = torch.from_numpy(np.stack([*whole.values()])).to(self._device) / 255
                    labels = self._labels[[*whole]].to(self._device)
                    batch = Batch(images, labels, torch.empty(len(whole), 0, device=self._device))
                    yield NamedBatch(batch, [self._names[index] for index in whole])

    def note(self) -> str | None:
        """The broken files, the first three by name."""
        if not self._broken:
            return None
        return f"{describe(self._broken, len(self))}; they are left out."

    def _read(self, index: int) -> NDArray[np.uint8] | Unreadable:
        """The pixels [C, H, W] of a file."""
        return attempt(
            self._files,
            self._names[index],
            lambda stream: decode_image(stream, self._shape, self._value_range),
        )
