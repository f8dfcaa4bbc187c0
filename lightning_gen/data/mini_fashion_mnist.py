"""The small real dataset that the package ships."""

from importlib.resources import files

import numpy as np
import torch

from lightning_gen.data.base import Binarize, ImageDataModule
from lightning_gen.data.idx import FashionMNIST
from lightning_gen.data.sources import ImagesOn, TensorSource


class MiniFashionMNIST(ImageDataModule):
    """10,000 + 2,000 images of Fashion-MNIST: the first 1,000 and 200 of each class.

    It lies in the package: no download, no folder.

    Args:
        batch_size: images a batch on each device.
        val_fraction: share of the training images kept for validation.
        binarize: "static", "dynamic" or none.
        train_classes: names of the classes that are trained and validated on; None takes all. The
            test split keeps every class.
        images_on: "accelerator" or "cpu" holds the images there; "auto" holds them on a GPU if they
            take at most half of its free memory.
    """

    class_names = FashionMNIST.class_names

    def __init__(
        self,
        batch_size: int = 128,
        val_fraction: float = 0.1,
        binarize: Binarize | None = None,
        train_classes: tuple[str, ...] | None = None,
        images_on: ImagesOn = "auto",
    ) -> None:
        super().__init__(
            batch_size,
            val_fraction,
            binarize=binarize,
            train_classes=train_classes,
            images_on=images_on,
        )
        self.image_shape = (1, 28, 28)

    def load_train(self) -> TensorSource:
        """The 10,000 training images."""
        return self._read("train")

    def load_test(self) -> TensorSource:
        """The 2,000 test images."""
        return self._read("test")

    def _read(self, split: str) -> TensorSource:
        file = files("lightning_gen.data") / "mini_fashion_mnist.npz"
        with file.open("rb") as stream, np.load(stream) as arrays:
            images = torch.from_numpy(arrays[f"{split}_images"])
            labels = torch.from_numpy(arrays[f"{split}_labels"])
        return TensorSource.of(images[:, None], labels.long())
