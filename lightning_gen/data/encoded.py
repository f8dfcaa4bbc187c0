"""What datasets of image files share: the cut into splits, and the cache of decoded images."""

from abc import ABC
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Unpack

import torch
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor

from lightning_gen.data.arguments import OfClasses, Tested, check_tested
from lightning_gen.data.base import OTHERS, ImageDataModule
from lightning_gen.data.cache import AUTO, CachedImages, CacheFile, cache_folder, open_or_build
from lightning_gen.data.decoding import leave_out
from lightning_gen.data.sources import EncodedImages, Source
from lightning_gen.data.splits import Split, cut

IN_MEMORY_BYTES = 2**30
"""Up to this many bytes of pixels, a dataset is decoded once and held in memory."""
SMALL_BYTES = 2**24
"""Fewer bytes of pixels are decoded at every start, which takes a second or two."""


class EncodedShared(Tested, total=False):
    """What datasets of image files take."""

    num_workers: int
    cache: str | None


class EncodedDataModule(ImageDataModule, ABC):
    """Image files, decoded once into a cache on disk.

    Few are decoded into memory at every start. Without a cache they are too, where all their pixels
    fit there, and else by workers, batch by batch.

    Args:
        batch_size: images a batch on each device.
        test_fraction: share of all images kept for testing where none are given.
        num_workers: processes that decode ahead where the images are neither cached nor in memory.
        cache: folder that the images are decoded into, once; "auto" is that of the user's caches,
            and None decodes at every start.
        **shared: ``val_fraction``, ``images_on`` and ``train_classes`` of :class:`ImageDataModule`.
    """

    def __init__(
        self,
        batch_size: int = 64,
        test_fraction: float = 0.1,
        num_workers: int = 4,
        cache: str | None = AUTO,
        **shared: Unpack[OfClasses],
    ) -> None:
        super().__init__(batch_size, binarize=None, **shared)
        check_tested(test_fraction, num_workers)
        self.num_workers = num_workers
        self._test_fraction = test_fraction
        self._cache_folder = cache_folder(cache)

    def hold(self, images: EncodedImages, splits: Mapping[str, Tensor]) -> str:
        """Keep the images of each split.

        Args:
            images: all images.
            splits: positions of the images of "train" and, where given, of "val" and "test"; else
                those to test on are cut from the former.

        Returns:
            A line about the sizes of the splits, the size of the images and their place.

        Raises:
            UserError: there are too few images for the fractions.
        """
        self._images, self._positions = images, dict(splits)
        if "test" not in splits:
            train = splits["train"]
            parts = cut(torch.arange(len(train)), self._test_fraction, "data.test_fraction")
            kept, held_out = (train[part.sort().values] for part in parts)
            self._positions |= {"train": kept, "test": held_out}
        counts = {
            name: int(Split(images, positions).are_of(self.normal_classes).sum())
            for name, positions in self._positions.items()
        }
        if "val" not in counts:
            train, val = cut(torch.arange(counts["train"]), self.val_fraction, "data.val_fraction")
            counts |= {"train": len(train), "val": len(val)}
        _, height, width = images.shape
        plan = "held in memory" if self._fit_in_memory else "decoded by workers"
        if images.num_bytes < SMALL_BYTES:
            self._cache_folder = None
        if self._cache_folder is not None:
            plan = f"decoded once, into {self._cache_folder}"
        return (
            f"{counts['train']} to train, {counts['val']} to validate, "
            f"{len(self._positions['test'])} to test; "
            f"{height}x{width} pixels (height x width); {plan}"
        )

    def state_dict(self) -> dict[str, Any]:
        """Also which files are tested on."""
        kept = super().state_dict()
        return kept and kept | {"tested_on": self._tested_on}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with a training, or warn of a test on other files than were kept apart from it."""
        super().load_state_dict(state_dict)
        tested_on = state_dict.get("tested_on", self._tested_on)
        if "test" in self._splits and tested_on != self._tested_on:
            rank_zero_warn(OTHERS.format("test"))

    @property
    def _tested_on(self) -> str:
        return Split(self._images, self._positions["test"]).digest

    def load_val(self) -> Source | None:
        """The given images for validation; None where there are none."""
        return self.load("val") if "val" in self._positions else None

    def load(self, split: str) -> Source:
        """The images of a split; without those that were unreadable when they were cached."""
        rows, cache = self._positions[split], self._cache
        if cache is None:
            images = self._images.subset(rows)
        else:
            readable = leave_out([cache.unreadable.get(row) for row in rows.tolist()])
            rows = rows if readable is None else rows[readable]
            images = CachedImages(**vars(self._images.subset(rows)), rows=rows.numpy(), cache=cache)
        return images.decoded() if self._fit_in_memory else images

    @cached_property
    def _cache(self) -> CacheFile | None:
        """The decoded images on disk; None where there is no cache."""
        return open_or_build(self._images, self._cache_folder) if self._cache_folder else None

    @property
    def _fit_in_memory(self) -> bool:
        return self._images.num_bytes <= IN_MEMORY_BYTES
