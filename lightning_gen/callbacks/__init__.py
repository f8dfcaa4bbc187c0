"""When to draw, to measure and to stop during training; what to score after it."""

from lightning_gen.callbacks.aggregate_posterior import AggregatePosterior
from lightning_gen.callbacks.code_use import CodebookUse, CollapseMonitor
from lightning_gen.callbacks.denoising_quality import DenoisingQuality
from lightning_gen.callbacks.disentanglement import Disentanglement
from lightning_gen.callbacks.draw import Draw
from lightning_gen.callbacks.drawing import Drawing
from lightning_gen.callbacks.evaluation import Evaluation
from lightning_gen.callbacks.evaluation import Score as Score  # of an Evaluation; no callback
from lightning_gen.callbacks.frechet_monitor import FrechetMonitor
from lightning_gen.callbacks.going_on import RandomState, Resume, SameNoise
from lightning_gen.callbacks.interruption import Interruption
from lightning_gen.callbacks.likelihood_bound import LikelihoodBound
from lightning_gen.callbacks.losses import FiniteLoss, LossCurves, Progress
from lightning_gen.callbacks.mode_coverage import ModeCoverage
from lightning_gen.callbacks.reconstruction_scores import AnomalyDetection, ReconstructionQuality
from lightning_gen.callbacks.sample_diversity import SampleDiversity
from lightning_gen.callbacks.sample_quality import SampleQuality
from lightning_gen.callbacks.stability import Stability

__all__ = [
    "AggregatePosterior",
    "AnomalyDetection",
    "CodebookUse",
    "CollapseMonitor",
    "DenoisingQuality",
    "Disentanglement",
    "Draw",
    "Drawing",
    "Evaluation",
    "FiniteLoss",
    "FrechetMonitor",
    "Interruption",
    "LikelihoodBound",
    "LossCurves",
    "ModeCoverage",
    "Progress",
    "RandomState",
    "ReconstructionQuality",
    "Resume",
    "SameNoise",
    "SampleDiversity",
    "SampleQuality",
    "Stability",
]
