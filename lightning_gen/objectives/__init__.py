"""The papers' formulas: functions and small objects on tensors."""

from lightning_gen.objectives.adversarial import (
    R1,
    R1R2,
    R2,
    Adversarial,
    GradientPenalty,
    Hinge,
    LeastSquares,
    NonSaturating,
    Penalty,
    Relativistic,
    Wasserstein,
)
from lightning_gen.objectives.elbo import (
    DIP,
    ELBO,
    MMD,
    ImportanceWeighted,
    TotalCorrelation,
)
from lightning_gen.objectives.likelihoods import (
    Bernoulli,
    DiscretizedLogistic,
    Gaussian,
    Likelihood,
)
from lightning_gen.objectives.mmd import RBF, InverseMultiquadratics, Kernel
from lightning_gen.objectives.posterior import DiagonalGaussian

__all__ = [
    "DIP",
    "ELBO",
    "MMD",
    "R1",
    "R1R2",
    "R2",
    "RBF",
    "Adversarial",
    "Bernoulli",
    "DiagonalGaussian",
    "DiscretizedLogistic",
    "Gaussian",
    "GradientPenalty",
    "Hinge",
    "ImportanceWeighted",
    "InverseMultiquadratics",
    "Kernel",
    "LeastSquares",
    "Likelihood",
    "NonSaturating",
    "Penalty",
    "Relativistic",
    "TotalCorrelation",
    "Wasserstein",
]
