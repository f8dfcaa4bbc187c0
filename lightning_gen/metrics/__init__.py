"""Measures of models that accumulate over batches and over processes, as torchmetrics' do.

``compute()`` gives an :class:`Estimate`, a value and its standard error. Lightning logs numbers: in
a module of one's own that is ``self.log("val/mse", self.mse.compute().value)`` at an epoch's end.
"""

from lightning_gen.metrics.aggregate import MutualInformation, PriorMMD
from lightning_gen.metrics.anomaly import AUROC
from lightning_gen.metrics.estimate import Estimate, MeanOverImages
from lightning_gen.metrics.latent import ActiveUnits, CodeCounts, KLPerDimension
from lightning_gen.metrics.likelihood import BitsPerDimension, NegativeLogLikelihood
from lightning_gen.metrics.reconstruction import BCE, MSE, PSNR, SSIM, mean_pairwise_distance
from lightning_gen.objectives.vq import code_use
from lightning_gen.objectives.vq import perplexity as code_perplexity

__all__ = [
    "AUROC",
    "BCE",
    "MSE",
    "PSNR",
    "SSIM",
    "ActiveUnits",
    "BitsPerDimension",
    "CodeCounts",
    "Estimate",
    "KLPerDimension",
    "MeanOverImages",
    "MutualInformation",
    "NegativeLogLikelihood",
    "PriorMMD",
    "code_perplexity",
    "code_use",
    "mean_pairwise_distance",
]
