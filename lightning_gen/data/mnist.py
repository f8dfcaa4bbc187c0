"""MNIST."""

from torchvision import datasets

from lightning_gen.data.idx import IDXDataModule


class MNIST(IDXDataModule):
    """MNIST (LeCun, Cortes & Burges): 60,000 + 10,000 grey images of 28x28, ten digits."""

    published = datasets.MNIST
    class_names = ("0", "1", "2", "3", "4", "5", "6", "7", "8", "9")
