"""Measures of models that accumulate over batches and over processes."""

from lightning_gen.metrics.codebook import CodeCounts, code_perplexity, code_use
from lightning_gen.metrics.diversity import mean_pairwise_distance
from lightning_gen.metrics.estimate import Estimate, MeanOverImages
from lightning_gen.metrics.latent import ActiveUnits, KLPerDimension

__all__ = [
    "ActiveUnits",
    "CodeCounts",
    "Estimate",
    "KLPerDimension",
    "MeanOverImages",
    "code_perplexity",
    "code_use",
    "mean_pairwise_distance",
]
