"""Scores of disentanglement: how codes relate to the known factors that made the images."""

from lightning_gen.metrics.disentanglement.beta_vae import BetaVAEScore, beta_vae_score
from lightning_gen.metrics.disentanglement.dci import DCI, DCIScores, dci_scores
from lightning_gen.metrics.disentanglement.factor_vae import FactorVAEScore, factor_vae_score
from lightning_gen.metrics.disentanglement.mig import MIG, mutual_information_gap
from lightning_gen.metrics.disentanglement.modularity import Modularity, modularity_score
from lightning_gen.metrics.disentanglement.sap import SAP, attribute_predictability_gap
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
    "attribute_predictability_gap",
    "beta_vae_score",
    "dci_scores",
    "factor_vae_score",
    "gaussian_total_correlation",
    "modularity_score",
    "mutual_information_gap",
]
