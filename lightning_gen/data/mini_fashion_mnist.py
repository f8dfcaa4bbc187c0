"""The small real dataset that the package ships."""

from importlib.resources import files

import numpy as np
import torch

from lightning_gen.data.base import ImageDataModule
from lightning_gen.data.idx import FashionMNIST
from lightning_gen.data.sources import TensorSource


class MiniFashionMNIST(ImageDataModule):
    """10,000 + 2,000 images of Fashion-MNIST: the first 1,000 and 200 of each class.

    It lies in the package: no download, no folder. Its arguments are those of
    :class:`ImageDataModule`.
    """

    image_shape = (1, 28, 28)
    class_names = FashionMNIST.class_names

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
