"""The papers' formulas: functions and small objects on tensors."""

from lightning_gen.objectives.elbo import ELBO, ELBOTerms
from lightning_gen.objectives.likelihoods import (
    Bernoulli,
    DiscretizedLogistic,
    Gaussian,
    Likelihood,
)
from lightning_gen.objectives.posterior import DiagonalGaussian

__all__ = [
    "ELBO",
    "Bernoulli",
    "DiagonalGaussian",
    "DiscretizedLogistic",
    "ELBOTerms",
    "Gaussian",
    "Likelihood",
]
