"""CelebA."""

from dataclasses import replace
from pathlib import Path

import torch
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor

from lightning_gen.data.cache import AUTO
from lightning_gen.data.celeba_files import Found, Table, find_images, find_table
from lightning_gen.data.decoding import height_and_width
from lightning_gen.data.encoded import EncodedImages
from lightning_gen.data.encoded_base import EncodedDataModule
from lightning_gen.data.sources import ImagesOn
from lightning_gen.data.splits import check_test_fraction
from lightning_gen.errors import UserError


class CelebA(EncodedDataModule):
    """CelebA (Liu et al. 2015): 202,599 aligned faces of 178x218, with 40 attributes as factors.

    Read without unpacking from ``img_align_celeba.zip``, or from a folder of that name; the layouts
    of torchvision, of Kaggle (tables as .csv) and of the authors are known. Without
    ``list_attr_celeba`` there are no factors. Without ``list_eval_partition`` the official splits
    are replaced by random ones, the same each time. The whole image is used: resized so that it
    just covers ``image_size``, then cropped around its centre (128 keeps all 178 columns and the
    middle 178 of the 218 rows). The images are decoded once, into a cache on disk, and read from it
    ever after; up to 1 GiB of pixels are held in memory.

    Args:
        root: what holds the images and tables, or a folder ``celeba`` that does; or the archive.
        image_size: [height, width] in pixels, or one number for both; at least 8.
        batch_size: images a batch on each device.
        val_fraction: share of the training images kept for validation where no official ones are
            there.
        test_fraction: share of all images kept for testing where no official ones are there.
        num_workers: processes that decode ahead where the images are neither cached nor in memory.
        cache: folder that the images are decoded into, once; "auto" is that of the user's caches,
            and None decodes at every start.
        images_on: "accelerator" or "cpu" holds decoded images there; "auto" holds them on a GPU if
            they take at most half of its free memory.
        class_attribute: the attribute that gives the two classes, such as "Smiling", which pictures
            colour by; None for one class.

    Raises:
        UserError: the images are missing, a file is broken, or an argument is out of its range.
    """

    def __init__(
        self,
        root: str = "data",
        image_size: int | tuple[int, int] = 64,
        batch_size: int = 64,
        val_fraction: float = 0.1,
        test_fraction: float = 0.1,
        num_workers: int = 4,
        cache: str | None = AUTO,
        images_on: ImagesOn = "auto",
        class_attribute: str | None = None,
    ) -> None:
        super().__init__(batch_size, val_fraction, num_workers, cache, images_on)
        check_test_fraction(test_fraction)
        self.image_shape = (3, *height_and_width(image_size))
        if class_attribute is not None:
            self.class_names = (f"not {class_attribute}", class_attribute)
        found = find_images(Path(root).expanduser())
        attributes = find_table(found.place, "list_attr_celeba")
        partition = find_table(found.place, "list_eval_partition")
        images = EncodedImages.of(found.files, found.names, self.image_shape)
        if attributes is not None:
            self.factor_names = attributes.columns
            self.factor_sizes = (2,) * len(attributes.columns)
            images = replace(images, factors=(attributes.of(found.names) > 0).long())
        if class_attribute is not None:
            images = replace(images, labels=images.factors[:, self._column(class_attribute)])
        splits = _splits(found, partition)
        held = self.hold(images, splits, test_fraction)
        official = [] if partition is None else [*splits]
        drawn = [name for name in ("train", "val", "test") if name not in official]
        rank_zero_info(
            f"CelebA in {str(found.place)!r}: {len(images)} images, "
            f"{'no' if attributes is None else len(attributes.columns)} attributes, "
            f"official splits: {', '.join(official) or 'none'}, "
            f"random: {', '.join(drawn) or 'none'}; {held}."
        )

    def _column(self, attribute: str) -> int:
        if attribute not in self.factor_names:
            raise UserError(
                "data.class_attribute is an attribute of list_attr_celeba "
                f"({', '.join(self.factor_names) or 'which is not there'}), got {attribute!r}. "
                "Leave it out for one class."
            )
        return self.factor_names.index(attribute)


def _splits(found: Found, partition: Table | None) -> dict[str, Tensor]:
    """Positions of the images in each official split that has some; all to train without one."""
    if partition is None:
        return {"train": torch.arange(len(found.names))}
    numbers = partition.of(found.names)[:, 0]
    splits = {
        split: (numbers == number).nonzero()[:, 0]
        for number, split in enumerate(("train", "val", "test"))
    }
    if len(splits["train"]) == 0:
        raise UserError(
            f"{partition.path} puts none of the {len(numbers)} images found in {found.place} into "
            "the training split (0). Add images, or remove the table to split at random."
        )
    return {split: positions for split, positions in splits.items() if len(positions) > 0}
