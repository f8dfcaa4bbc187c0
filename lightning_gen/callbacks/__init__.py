"""When to draw, to measure and to stop during training; what to score after it."""

from lightning_gen.callbacks.aggregate_posterior import AggregatePosterior
from lightning_gen.callbacks.code_use import CodebookUse, CollapseMonitor
from lightning_gen.callbacks.disentanglement import Disentanglement
from lightning_gen.callbacks.evaluation import Evaluation
from lightning_gen.callbacks.evaluation import Score as Score  # of an Evaluation; no callback
from lightning_gen.callbacks.first_images import Denoising, Reconstructions
from lightning_gen.callbacks.going_on import RandomState, Resume, SameNoise
from lightning_gen.callbacks.interruption import Interruption
from lightning_gen.callbacks.likelihood_bound import LikelihoodBound
from lightning_gen.callbacks.losses import FiniteLoss, LossCurves, Progress
from lightning_gen.callbacks.picture import Picture
from lightning_gen.callbacks.reconstruction_scores import AnomalyDetection, ReconstructionQuality
from lightning_gen.callbacks.sample_quality import SampleQuality
from lightning_gen.callbacks.samples import ConditionalSamples, SampleDiversity, Samples
from lightning_gen.callbacks.validation_codes import Arithmetic, LatentScatter
from lightning_gen.callbacks.walks import Interpolation, LatentGrid, Traversal

__all__ = [
    "AggregatePosterior",
    "AnomalyDetection",
    "Arithmetic",
    "CodebookUse",
    "CollapseMonitor",
    "ConditionalSamples",
    "Denoising",
    "Disentanglement",
    "Evaluation",
    "FiniteLoss",
    "Interpolation",
    "Interruption",
    "LatentGrid",
    "LatentScatter",
    "LikelihoodBound",
    "LossCurves",
    "Picture",
    "Progress",
    "RandomState",
    "ReconstructionQuality",
    "Reconstructions",
    "Resume",
    "SameNoise",
    "SampleDiversity",
    "SampleQuality",
    "Samples",
    "Traversal",
]
