"""Datasets, each a LightningDataModule of its own name."""

from lightning_gen.data.base import ImageDataModule
from lightning_gen.data.fashion_mnist import FashionMNIST
from lightning_gen.data.mini_fashion_mnist import MiniFashionMNIST
from lightning_gen.data.mnist import MNIST

__all__ = [
    "MNIST",
    "FashionMNIST",
    "ImageDataModule",
    "MiniFashionMNIST",
]
