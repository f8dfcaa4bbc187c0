"""The data that the benchmarks train on, in our datamodules and the usual way."""

from pathlib import Path

import torch
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader, random_split
from torchvision import datasets
from torchvision.transforms import ToTensor

from lightning_gen.contracts import DataInfo
from lightning_gen.data import FashionMNIST, MiniFashionMNIST
from lightning_gen.data.base import ImageDataModule
from lightning_gen.data.loader import TensorSource


class TiledMiniFashionMNIST(MiniFashionMNIST):
    """The images that the package ships, six times over: as many as Fashion-MNIST has."""

    def load(self, split: str) -> TensorSource:
        """60,000 training images, or 12,000 test images."""
        source = super().load(split)
        return source.subset(torch.arange(len(source)).repeat(6))


class RandomImages(ImageDataModule):
    """Noise of 3 channels in memory: what it takes to train depends on the shape alone.

    Args:
        image_size: pixels a side.
        images: how many there are.
        batch_size: images a batch.
    """

    def __init__(self, image_size: int = 64, images: int = 1000, batch_size: int = 128) -> None:
        self.info = DataInfo((3, image_size, image_size))
        super().__init__(batch_size, 0.1)
        self.images = images

    def load(self, split: str) -> TensorSource:
        """The same ones each time, for both splits."""
        generator = torch.Generator().manual_seed(0)
        shape = (self.images, *self.image_shape)
        return TensorSource.of(torch.randint(256, shape, dtype=torch.uint8, generator=generator))


class Published(datasets.FashionMNIST):
    """torchvision's dataset (a PIL image, a transform and a label an item) on images in memory."""

    def __init__(self, source: TensorSource) -> None:
        datasets.VisionDataset.__init__(self, root="", transform=ToTensor())
        self.data, self.targets = source.images[:, 0], source.labels


class UsualFashionMNIST(LightningDataModule):
    """ToTensor on each image, torch's DataLoader; only the form of the batch is adapted.

    Args:
        root: folder of Fashion-MNIST; where it is not there, the tiled images of the package.
        num_workers: of the DataLoader.
        batch_size: images a batch.
    """

    info = DataInfo((1, 28, 28))

    def __init__(self, root: str = "data", num_workers: int = 0, batch_size: int = 128) -> None:
        super().__init__()
        self.root = root
        self.options = {"batch_size": batch_size, "num_workers": num_workers}

    def setup(self, stage: str) -> None:
        """Read the images, and keep a tenth for validation."""
        images = Published(fashion_mnist(Path(self.root)).load("train"))
        self.train, self.val = random_split(images, [0.9, 0.1])

    def train_dataloader(self) -> DataLoader:
        """Shuffled."""
        return DataLoader(self.train, shuffle=True, **self.options)

    def val_dataloader(self) -> DataLoader:
        """In order."""
        return DataLoader(self.val, **self.options)


def has_fashion_mnist(root: Path) -> bool:
    """Whether the four files of Fashion-MNIST lie where our datamodule reads them."""
    data = FashionMNIST(str(root), download=False)
    return all((data.folder / name).is_file() for name in data.md5s)


def fashion_mnist(root: Path) -> FashionMNIST | TiledMiniFashionMNIST:
    """Fashion-MNIST where it is there, else the tiled images of the package."""
    if has_fashion_mnist(root):
        return FashionMNIST(str(root), download=False)
    return TiledMiniFashionMNIST()


def fashion_mnist_words(root: Path) -> list[str]:
    """The same for the command line, after the configuration of an experiment."""
    if not has_fashion_mnist(root):
        return ["--allow", "usual_data", "--data", "usual_data.TiledMiniFashionMNIST"]
    words = ["--data", "lightning_gen.data.FashionMNIST", "--data.root", str(root.resolve())]
    return [*words, "--data.download", "false"]


def usual_words(root: Path, workers: int) -> list[str]:
    """The same in a DataLoader with so many workers."""
    words = ["--allow", "usual_data", "--data", "usual_data.UsualFashionMNIST"]
    return [*words, "--data.root", str(root.resolve()), "--data.num_workers", str(workers)]
