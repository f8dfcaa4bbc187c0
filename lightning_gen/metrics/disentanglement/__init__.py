"""Scores of disentanglement: how codes relate to the known factors that made the images."""

from lightning_gen.metrics.disentanglement.information import (
    MIG,
    GaussianTotalCorrelation,
    Modularity,
    gaussian_total_correlation,
)
from lightning_gen.metrics.disentanglement.predictors import DCI, SAP, DCIScores
from lightning_gen.metrics.disentanglement.sampled_scores import BetaVAEScore, FactorVAEScore
from lightning_gen.metrics.disentanglement.table import CodesAndFactors

__all__ = [
    "DCI",
    "MIG",
    "SAP",
    "BetaVAEScore",
    "CodesAndFactors",
    "DCIScores",
    "FactorVAEScore",
    "GaussianTotalCorrelation",
    "Modularity",
    "gaussian_total_correlation",
]
