"""Images for a finished run: those of a split of its dataset, or files."""

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from lightning.pytorch import LightningModule
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from lightning_gen.contracts import Batch, Conditional, as_batch, info_of
from lightning_gen.data import ImageDataModule
from lightning_gen.data.base import STAGES
from lightning_gen.data.decoding import (
    FolderFiles,
    ValueRange,
    attempt,
    attempt_all,
    decode_image,
    look,
    seen_size,
)
from lightning_gen.data.image_folder import read_layout
from lightning_gen.data.loader import BatchLoader
from lightning_gen.data.trainer import check_labels
from lightning_gen.data.unreadable import Unreadable, describe
from lightning_gen.data.value_range import known_range
from lightning_gen.errors import UserError
from lightning_gen.progress import progress
from lightning_gen.runs.finished import FinishedRun
from lightning_gen.training.checkpoint import load_checkpoint

SplitName = Literal["train", "val", "test"]


class NamedBatch(NamedTuple):
    """Images in [0, 1] on the model's device, with a name for each."""

    batch: Batch
    names: list[str]


class Inputs(ABC):
    """Images in a fixed order, a batch at a time; a name for each label and factor, if any."""

    class_names: tuple[str, ...] = ()
    factor_names: tuple[str, ...] = ()

    @abstractmethod
    def __len__(self) -> int:
        """How many images there are, broken files included."""

    @abstractmethod
    def __iter__(self) -> Iterator[NamedBatch]:
        """The batches; a broken file is left out."""

    def note(self) -> str | None:
        """One line about what was left out; None where nothing was."""
        return None

    def shown(self, task: str, limit: int | None = None) -> Iterator[NamedBatch]:
        """The batches of the first ``limit`` images, with a progress bar; a UserError without."""
        wanted = len(self) if limit is None else min(len(self), limit)
        count = 0
        with progress(wanted, task) as bar:
            for batch, names in self:
                part = NamedBatch(batch.first(wanted - count), names[: wanted - count])
                yield part
                bar.update(len(part.names))
                count += len(part.names)
                if count == wanted:
                    return
        if count == 0:
            raise UserError(self.note() or "expected at least one image, found none.")

    def first(self, count: int) -> NamedBatch:
        """The first images as one batch."""
        parts = list(self.shown("reading images", count))
        batch = Batch.joined([part.batch for part in parts])
        return NamedBatch(batch, [name for part in parts for name in part.names])


class SplitInputs(Inputs):
    """A split of the run's dataset, in its loader's order; "train" is without validation images.

    An image is called by its file, or ``test/00042`` by its place in the files of the dataset,
    those of its training images for "val" where these are cut from them.
    """

    def __init__(self, run: FinishedRun, split: SplitName, batch_size: int | None = None) -> None:
        if split not in STAGES:
            raise UserError(f"split is one of {', '.join(STAGES)}, got {split!r}.")
        self._run = run
        self.split: SplitName = split
        self._batch_size = batch_size

    @cached_property
    def loader(self) -> Iterable[Any]:
        """The batches, loaded when first asked for; a UserError where there is no such split."""
        data = self._run.data
        data.prepare_data()
        data.setup(STAGES[self.split])
        if isinstance(data, ImageDataModule):
            if self.split not in data.splits:
                raise UserError(
                    f"the dataset of {self._run.name} has no {self.split} images. Choose another "
                    "--split, or set data.val_fraction above 0 in a new training."
                )
            check_labels(data.splits[self.split], self.split, self._run.model)
            kept = load_checkpoint(self._run.checkpoint)
            data.load_state_dict(kept.get(type(data).__qualname__, {}))  # warns of other images
            return data.in_order(self.split, self._batch_size)
        own = getattr(data, f"{self.split}_dataloader")()
        if not isinstance(own, DataLoader):
            raise UserError(
                f"{type(data).__name__}.{self.split}_dataloader gives no DataLoader, so this split "
                "cannot be read. Pass images of your own with --images."
            )
        return own

    @property
    def class_names(self) -> tuple[str, ...]:  # type: ignore[override]
        """Those of the dataset."""
        return self._run.class_names

    @property
    def factor_names(self) -> tuple[str, ...]:  # type: ignore[override]
        """Those of the dataset."""
        info = info_of(self._run.data)
        return info.factor_names if info else ()

    @cached_property
    def _size(self) -> int:
        if isinstance(self.loader, BatchLoader):
            return self.loader.num_images
        # A dataset may hold whole batches, so that its length says nothing.
        return sum(len(as_batch(batch).images) for batch in self.loader)

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[NamedBatch]:
        shape = self._run.model.hparams.get("image_shape")
        start = 0
        for part in self.loader.named() if isinstance(self.loader, BatchLoader) else self.loader:
            if isinstance(self.loader, BatchLoader):
                batch, places = part
            else:
                batch = as_batch(part)
                places = [*range(start, start + len(batch.images))]
            start += len(places)
            if shape is not None and (found := tuple(batch.images.shape[1:])) != tuple(shape):
                raise UserError(
                    f"the dataset of {self._run.name} gives images of {'x'.join(map(str, found))}, "
                    f"and its model takes {'x'.join(map(str, shape))}: its config.yaml was "
                    "changed. Pass images of your own with --images."
                )
            moved = Batch(*(tensor.to(self._run.model.device) for tensor in batch))
            names = [p if isinstance(p, str) else f"{self.split}/{p:05}" for p in places]
            yield NamedBatch(self._run.data.on_after_batch_transfer(moved, 0), names)


class FileInputs(Inputs):
    """An image file, or all below a folder, brought to the shape that the model takes.

    They are decoded in threads. If the folder has class subfolders, these give the labels; a
    model that is asked as a ``conditional`` one takes them as its classes. A UserError says that
    there is no image.
    """

    def __init__(
        self, run: FinishedRun, path: Path, batch_size: int = 256, *, conditional: bool = True
    ) -> None:
        path = path.expanduser()
        if not path.is_file() and not path.is_dir():  # a pipe would block for ever
            kinds = ("there is no such file or folder", "it is neither a file nor a folder")
            raise UserError(f"--images {path}: {kinds[path.exists()]}.")
        self._files = FolderFiles(path if path.is_dir() else path.parent)
        self.folder = self._files.place.absolute().name
        self._names = self._files.names() if path.is_dir() else [path.name]
        if not self._names:
            raise UserError(f"--images {path}: expected images in it or below, found none.")
        self._shape = run.image_shape
        self._device = run.model.device
        self._batch_size = batch_size
        self._broken: list[Unreadable] = []
        self._label(run.model if conditional else None)
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

    def _label(self, model: LightningModule | None) -> None:
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

    def own_sizes(self, names: Sequence[str]) -> list[tuple[int, int]]:
        """(height, width) in pixels of what the model sees of each file, before it is resized."""
        sizes = []
        for name in names:
            with self._files.open(name) as stream:
                sizes.append(seen_size(stream, self._shape))
        return sizes

    def _read(self, index: int) -> NDArray[np.uint8] | Unreadable:
        """The pixels [C, H, W] of a file."""
        return attempt(
            self._files,
            self._names[index],
            lambda stream: decode_image(stream, self._shape, self._value_range),
        )
