"""Fashion-MNIST."""

from torchvision import datasets

from lightning_gen.data.idx import IDXDataModule


class FashionMNIST(IDXDataModule):
    """Fashion-MNIST (Xiao, Rasul & Vollgraf 2017): 60,000 + 10,000 grey images, ten classes."""

    published = datasets.FashionMNIST
    class_names = tuple(datasets.FashionMNIST.classes)
