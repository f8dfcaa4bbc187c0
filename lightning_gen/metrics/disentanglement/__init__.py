"""Scores of disentanglement: how codes relate to the known factors that made the images."""

from lightning_gen.metrics.disentanglement.beta_vae import BetaVAEScore
from lightning_gen.metrics.disentanglement.dci import DCI, DCIScores
from lightning_gen.metrics.disentanglement.factor_vae import FactorVAEScore
from lightning_gen.metrics.disentanglement.mig import MIG
from lightning_gen.metrics.disentanglement.modularity import Modularity
from lightning_gen.metrics.disentanglement.sap import SAP
from lightning_gen.metrics.disentanglement.table import CodesAndFactors
from lightning_gen.metrics.disentanglement.total_correlation import (
    TotalCorrelation,
    gaussian_total_correlation,
)

__all__ = [
    "DCI",
    "MIG",
    "SAP",
    "BetaVAEScore",
    "CodesAndFactors",
    "DCIScores",
    "FactorVAEScore",
    "Modularity",
    "TotalCorrelation",
    "gaussian_total_correlation",
]
