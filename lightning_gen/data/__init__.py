"""Datasets, each a LightningDataModule of its own name."""

# What no file names: it cannot hold the datasets of Wrap, and the others are none.
from lightning_gen.contracts import DataInfo as DataInfo
from lightning_gen.data.base import ImageDataModule
from lightning_gen.data.celeba import CelebA
from lightning_gen.data.dsprites import DSprites
from lightning_gen.data.image_folder import ImageFolder
from lightning_gen.data.loader import TensorSource as TensorSource
from lightning_gen.data.published import CIFAR10, MNIST, FashionMNIST, MiniFashionMNIST
from lightning_gen.data.shapes import Shapes
from lightning_gen.data.stacked_mnist import StackedMNIST
from lightning_gen.data.wrap import Wrap as Wrap

__all__ = [
    "CIFAR10",
    "MNIST",
    "CelebA",
    "DSprites",
    "FashionMNIST",
    "ImageDataModule",
    "ImageFolder",
    "MiniFashionMNIST",
    "Shapes",
    "StackedMNIST",
]
