"""Feature extractors: images in, features out, in which sets of images are compared."""

from lightning_gen.features.classifier import (
    FashionMNISTClassifier,
    MNISTClassifier,
    TrainedClassifier,
)
from lightning_gen.features.extractor import Extractor
from lightning_gen.features.inception import Inception

__all__ = [
    "Extractor",
    "FashionMNISTClassifier",
    "Inception",
    "MNISTClassifier",
    "TrainedClassifier",
]
