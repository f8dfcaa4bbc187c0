"""What datasets of image files share: splits, and where the decoding is done."""

from abc import ABC
from collections.abc import Mapping

from torch import Tensor

from lightning_gen.data.base import ImageDataModule
from lightning_gen.data.encoded import EncodedImages
from lightning_gen.data.loader import Source
from lightning_gen.data.splits import cut


class EncodedDataModule(ImageDataModule, ABC):
    """Image files: decoded once where all their pixels fit into memory, else by workers."""

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
            splits |= {"train": splits["train"][kept], "test": splits["train"][held_out]}
        self._in_memory = images.fits_in_memory
        self._parts = {split: images.subset(positions) for split, positions in splits.items()}
        counts = {split: len(positions) for split, positions in splits.items()}
        if "val" not in counts:
            train, val = cut(counts["train"], self.val_fraction, "data.val_fraction")
            counts |= {"train": len(train), "val": len(val)}
        _, height, width = images.shape
        return (
            f"{counts['train']} to train, {counts['val']} to validate, {counts['test']} to test; "
            f"{height}x{width} pixels (height x width); "
            f"{'held in memory' if self._in_memory else 'decoded by workers'}"
        )

    def load_train(self) -> Source:
        """The training images; those for validation included unless they are given."""
        return self._load("train")

    def load_val(self) -> Source | None:
        """The given images for validation; None where there are none."""
        return self._load("val") if "val" in self._parts else None

    def load_test(self) -> Source:
        """The test images."""
        return self._load("test")

    def _load(self, split: str) -> Source:
        part = self._parts[split]
        return part.decoded() if self._in_memory else part
