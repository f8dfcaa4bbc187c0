"""Any folder of images."""

import torch
from lightning.pytorch.utilities import rank_zero_info

from lightning_gen.data.cache import AUTO
from lightning_gen.data.decoding import height_and_width
from lightning_gen.data.encoded import EncodedImages
from lightning_gen.data.encoded_base import EncodedDataModule
from lightning_gen.data.files import FolderFiles
from lightning_gen.data.placement import ImagesOn
from lightning_gen.data.scanning import existing_folder, read_headers, read_layout
from lightning_gen.data.splits import check_test_fraction
from lightning_gen.errors import UserError
from lightning_gen.hyperparameters import remember


class ImageFolder(EncodedDataModule):
    """The images below a folder, nested or flat.

    If all lie in two or more subfolders, these are the classes; otherwise there is one class. A
    subfolder ``train`` beside ``test`` or ``val`` (``valid``, ``validation``) gives the splits,
    and the classes lie below these. A split that is not given is cut at random from the training
    images, the same ones each time. Every image is resized so that it just covers ``image_size``,
    then cropped around its centre. The images are decoded once, into a cache on disk, and read from
    it ever after; up to 1 GiB of pixels are held in memory, 16 MiB without a cache.

    Args:
        root: the folder.
        image_size: [height, width] in pixels, or one number for both; at least 8.
        channels: 1 (grey) or 3 (RGB); by default 1 if every file is grey, else 3.
        batch_size: images a batch on each device.
        val_fraction: share of the training images kept for validation.
        test_fraction: share of all images kept for testing.
        num_workers: processes that decode ahead where the images are neither cached nor in memory.
        cache: folder that the images are decoded into, once; "auto" is that of the user's caches,
            and None decodes at every start.
        images_on: "accelerator" or "cpu" holds decoded images there; "auto" holds them on a GPU if
            they take at most half of its free memory.

    Raises:
        UserError: there is no such folder, it holds too few readable images, or an argument is
            out of its range.
    """

    def __init__(
        self,
        root: str,
        image_size: int | tuple[int, int] = 64,
        channels: int | None = None,
        batch_size: int = 64,
        val_fraction: float = 0.1,
        test_fraction: float = 0.1,
        num_workers: int = 4,
        cache: str | None = AUTO,
        images_on: ImagesOn = "auto",
    ) -> None:
        given = dict(locals())
        super().__init__(batch_size, val_fraction, num_workers, cache, images_on)
        remember(self, given)
        check_test_fraction(test_fraction)
        if channels not in (None, 1, 3):
            raise UserError(f"data.channels is 1 (grey) or 3 (RGB), got {channels}. Leave it out.")
        size = height_and_width(image_size)
        files = FolderFiles(existing_folder(root))
        names, grey = read_headers(files)
        layout = read_layout(names)
        self.image_shape = (channels or (1 if all(grey) else 3), *size)
        self.class_names = layout.class_names
        images = EncodedImages.of(files, names, self.image_shape, torch.tensor(layout.labels))
        splits = {split: torch.tensor(positions) for split, positions in layout.splits.items()}
        held = self.hold(images, splits, test_fraction)
        beside = len(names) - sum(len(positions) for positions in splits.values())
        rank_zero_info(
            f"{root!r}: {len(names)} images{f' ({beside} in no split)' if beside else ''}, "
            f"number of classes: {self.num_classes}, channels: {self.image_shape[0]}; {held}."
        )
