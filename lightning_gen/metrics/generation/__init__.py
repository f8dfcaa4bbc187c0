"""Scores of generated images against real ones, on the features of an extractor."""

from lightning_gen.metrics.generation.frechet import (
    FittedGaussian,
    FrechetDistance,
    frechet_distance,
)
from lightning_gen.metrics.generation.kernel_distance import KernelDistance, polynomial_kernel
from lightning_gen.metrics.generation.manifold import (
    DensityCoverage,
    DensityCoverageValue,
    PrecisionRecall,
    PrecisionRecallValue,
)
from lightning_gen.metrics.generation.memorisation import Memorisation, nearest_training_images
from lightning_gen.metrics.generation.modes import ModeCounts
from lightning_gen.metrics.generation.stored import StoredFeatures

__all__ = [
    "DensityCoverage",
    "DensityCoverageValue",
    "FittedGaussian",
    "FrechetDistance",
    "KernelDistance",
    "Memorisation",
    "ModeCounts",
    "PrecisionRecall",
    "PrecisionRecallValue",
    "StoredFeatures",
    "frechet_distance",
    "nearest_training_images",
    "polynomial_kernel",
]
