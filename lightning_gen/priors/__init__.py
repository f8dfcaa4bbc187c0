"""Priors: distributions of codes, trained with a model or fitted to the codes of a finished one."""

from lightning_gen.priors.autoregressive import Autoregressive
from lightning_gen.priors.flow import NormalizingFlow
from lightning_gen.priors.mixture import GaussianMixture
from lightning_gen.priors.prior import Prior, StandardNormal
from lightning_gen.priors.prior import VectorPrior as VectorPrior
from lightning_gen.priors.vamp import VampPrior

__all__ = [
    "Autoregressive",
    "GaussianMixture",
    "NormalizingFlow",
    "Prior",
    "StandardNormal",
    "VampPrior",
]
