"""Measures of models that accumulate over batches and over processes."""

from lightning_gen.metrics.latent import ActiveUnits, KLPerDimension

__all__ = ["ActiveUnits", "KLPerDimension"]
