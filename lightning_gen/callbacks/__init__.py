"""When to draw, to measure and to stop during training; what to score after it."""

from lightning_gen.callbacks.aggregate_posterior import AggregatePosterior
from lightning_gen.callbacks.anomaly_detection import AnomalyDetection
from lightning_gen.callbacks.arithmetic import Arithmetic
from lightning_gen.callbacks.codebook_use import CodebookUse
from lightning_gen.callbacks.collapse_monitor import CollapseMonitor
from lightning_gen.callbacks.conditional_samples import ConditionalSamples
from lightning_gen.callbacks.denoising import Denoising
from lightning_gen.callbacks.disentanglement import Disentanglement
from lightning_gen.callbacks.evaluation import Evaluation
from lightning_gen.callbacks.finite_loss import FiniteLoss
from lightning_gen.callbacks.interpolation import Interpolation
from lightning_gen.callbacks.interruption import Interruption
from lightning_gen.callbacks.latent_grid import LatentGrid
from lightning_gen.callbacks.latent_scatter import LatentScatter
from lightning_gen.callbacks.likelihood_bound import LikelihoodBound
from lightning_gen.callbacks.loss_curves import LossCurves
from lightning_gen.callbacks.picture import Picture
from lightning_gen.callbacks.progress import Progress
from lightning_gen.callbacks.random_state import RandomState
from lightning_gen.callbacks.reconstruction_quality import ReconstructionQuality
from lightning_gen.callbacks.reconstructions import Reconstructions
from lightning_gen.callbacks.resume import Resume
from lightning_gen.callbacks.same_noise import SameNoise
from lightning_gen.callbacks.sample_diversity import SampleDiversity
from lightning_gen.callbacks.sample_quality import SampleQuality
from lightning_gen.callbacks.samples import Samples
from lightning_gen.callbacks.traversal import Traversal

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
