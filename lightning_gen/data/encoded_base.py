"""What datasets of image files share: splits, and where the decoding is done."""

from abc import ABC
from collections.abc import Mapping, Sequence
from functools import cached_property

import torch
from torch import Tensor

from lightning_gen.data.base import ImageDataModule
from lightning_gen.data.cache import SMALL_BYTES, cache_folder, open_or_build
from lightning_gen.data.cached_images import CachedImages, CacheFile
from lightning_gen.data.encoded import EncodedImages
from lightning_gen.data.sources import ImagesOn, Source
from lightning_gen.data.splits import cut


class EncodedDataModule(ImageDataModule, ABC):
    """Image files, decoded once into a cache on disk.

    Few are decoded into memory at every start. Without a cache they are too, where all their pixels
    fit there, and else by workers, batch by batch.

    Args:
        batch_size: images a batch on each device.
        val_fraction: share of the training images kept for validation where none are given.
        num_workers: processes that decode ahead where nothing else holds the images.
        cache: folder of the decoded images, "auto" for the user's own, None for no cache.
        images_on: where decoded images are held, see :class:`ImageDataModule`.
        train_classes: names of the classes that are trained on, see :class:`ImageDataModule`.
    """

    def __init__(
        self,
        batch_size: int,
        val_fraction: float,
        num_workers: int,
        cache: str | None,
        images_on: ImagesOn,
        train_classes: Sequence[str] | None = None,
    ) -> None:
        super().__init__(
            batch_size, val_fraction, num_workers, train_classes=train_classes, images_on=images_on
        )
        self._cache_folder = cache_folder(cache)

    def hold(
        self, images: EncodedImages, splits: Mapping[str, Tensor], test_fraction: float
    ) -> str:
        """Keep the images of each split.

        Args:
            images: all images.
            splits: positions of the images of "train" and, where given, of "val" and "test".
            test_fraction: share of the training images kept for testing where no test images are
                given.

        Returns:
            A line about the sizes of the splits, the size of the images and their place.

        Raises:
            UserError: there are too few images for the fractions.
        """
        splits = dict(splits)
        if "test" not in splits:
            kept, held_out = cut(len(splits["train"]), test_fraction, "data.test_fraction")
            parts = {"train": kept, "test": held_out}
            splits |= {name: splits["train"][part.sort().values] for name, part in parts.items()}
        self._images, self._positions = images, splits
        counts = {
            split: self._count(images.labels[positions], split)
            for split, positions in splits.items()
        }
        if "val" not in counts:
            train, val = cut(counts["train"], self.val_fraction, "data.val_fraction")
            counts |= {"train": len(train), "val": len(val)}
        _, height, width = images.shape
        return (
            f"{counts['train']} to train, {counts['val']} to validate, {counts['test']} to test; "
            f"{height}x{width} pixels (height x width); {self._plan()}"
        )

    def _count(self, labels: Tensor, split: str) -> int:
        if split == "test" or not self.normal_classes:
            return len(labels)
        return int(torch.isin(labels, torch.tensor(self.normal_classes)).sum())

    def load_train(self) -> Source:
        """The training images; those for validation included unless they are given."""
        return self._load("train")

    def load_val(self) -> Source | None:
        """The given images for validation; None where there are none."""
        return self._load("val") if "val" in self._positions else None

    def load_test(self) -> Source:
        """The test images."""
        return self._load("test")

    def _load(self, split: str) -> Source:
        positions = self._positions[split]
        part: EncodedImages | CachedImages
        part = encoded = self._images.subset(positions)
        if self._cache is not None:
            part = CachedImages(encoded, positions.numpy(), self._cache)
        return part.decoded() if self._images.fits_in_memory else part

    @cached_property
    def _cache(self) -> CacheFile | None:
        """The decoded images on disk; None where there is no cache."""
        if self._cache_folder is None or self._images.num_bytes < SMALL_BYTES:
            return None
        return open_or_build(self._images, self._cache_folder)

    def _plan(self) -> str:
        if self._cache_folder is not None and self._images.num_bytes >= SMALL_BYTES:
            return f"decoded once, into {self._cache_folder}"
        return "held in memory" if self._images.fits_in_memory else "decoded by workers"
