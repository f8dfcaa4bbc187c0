"""Image files for a finished run: one, or all below a folder."""

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from lightning.pytorch import LightningModule
from numpy.typing import NDArray

from lightning_gen.contracts import Batch, Conditional
from lightning_gen.data.cache import known_range
from lightning_gen.data.decoding import Look, Stream, Unreadable, ValueRange, decode, describe
from lightning_gen.data.files import Files, FolderFiles
from lightning_gen.data.image_folder import headers, read_layout
from lightning_gen.errors import UserError
from lightning_gen.runs.checkpoint import load_checkpoint
from lightning_gen.runs.finished import FinishedRun
from lightning_gen.runs.inputs import Inputs, NamedBatch

Read = tuple[int, NDArray[np.uint8] | Unreadable]
"""The number of a file, and its pixels [C, H, W] where it is an image."""


@dataclass(frozen=True)
class OneFile:
    """A single image file, read as a folder of it is."""

    path: Path

    @property
    def place(self) -> Path:
        """The file."""
        return self.path

    def state(self, names: Sequence[str]) -> str:
        """Nothing that another run may compare: a file alone has no cache."""
        return ""

    def names(self) -> list[str]:
        """Its name."""
        return [self.path.name]

    def open(self, name: str) -> Stream:
        """Its content."""
        return self.path.open("rb")


class FileInputs(Inputs):
    """An image file, or all below a folder, brought to the shape that the model takes.

    They are decoded in threads, one batch ahead. If the folder has class subfolders, these give the
    labels; a conditional model takes them as its classes.

    Args:
        run: the finished run.
        path: a file or a folder.
        batch_size: images a batch.

    Raises:
        UserError: there is no such path, or no image in it.
    """

    def __init__(self, run: FinishedRun, path: Path, batch_size: int = 256) -> None:
        path = path.expanduser()
        if not path.is_file() and not path.is_dir():  # a pipe would block for ever
            kinds = ("there is no such file or folder", "it is neither a file nor a folder")
            raise UserError(f"--images {path}: {kinds[path.exists()]}.")
        self._files: Files = FolderFiles(path) if path.is_dir() else OneFile(path)
        self._names = self._files.names()
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
        looks = zip(self._names, headers(self._files, self._names), strict=True)
        deep = [name for name, look in looks if isinstance(look, Look) and look.deep]
        if not deep:
            return None
        trained = load_checkpoint(run.checkpoint).get("datamodule_hyper_parameters", {})
        low_and_high = trained.get("value_range")
        if low_and_high is None:
            return known_range(self._files, deep, None)
        low, high = low_and_high
        return low, high

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
        starts = range(0, len(self), self._batch_size)
        parts = (range(start, min(start + self._batch_size, len(self))) for start in starts)
        with ThreadPoolExecutor(os.cpu_count()) as threads:
            ahead: deque[list[Future[Read]]] = deque()
            for part in parts:
                ahead.append([threads.submit(self._read, index) for index in part])
                if len(ahead) > 1:
                    yield from self._batch(ahead.popleft())
            yield from self._batch(ahead.popleft())

    def note(self) -> str | None:
        """The broken files, the first three by name."""
        if not self._broken:
            return None
        return f"{describe(self._broken, len(self))}; they are left out."

    def _read(self, index: int) -> Read:
        try:
            with self._files.open(self._names[index]) as stream:
                return index, decode(stream, self._shape, self._value_range)
        except Exception as error:  # Pillow raises nearly anything at broken bytes
            return index, Unreadable.because(self._names[index], error)

    def _batch(self, futures: list[Future[Read]]) -> Iterator[NamedBatch]:
        read = [future.result() for future in futures]
        self._broken += [content for _, content in read if isinstance(content, Unreadable)]
        whole = [(i, pixels) for i, pixels in read if not isinstance(pixels, Unreadable)]
        if not whole:
            return
        indices = [index for index, _ in whole]
        images = torch.from_numpy(np.stack([pixels for _, pixels in whole]))
        batch = Batch(
            images.to(self._device).float() / 255,
            self._labels[indices].to(self._device),
            torch.empty(len(indices), 0, device=self._device),
        )
        yield NamedBatch(batch, [self._names[index] for index in indices])
