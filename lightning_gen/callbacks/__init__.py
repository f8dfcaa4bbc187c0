"""When to draw, to measure and to stop during training."""

from lightning_gen.callbacks.arithmetic import Arithmetic
from lightning_gen.callbacks.codebook_use import CodebookUse
from lightning_gen.callbacks.collapse_monitor import CollapseMonitor
from lightning_gen.callbacks.conditional_samples import ConditionalSamples
from lightning_gen.callbacks.denoising import Denoising
from lightning_gen.callbacks.finite_loss import FiniteLoss
from lightning_gen.callbacks.interpolation import Interpolation
from lightning_gen.callbacks.latent_grid import LatentGrid
from lightning_gen.callbacks.latent_scatter import LatentScatter
from lightning_gen.callbacks.loss_curves import LossCurves
from lightning_gen.callbacks.picture import Picture
from lightning_gen.callbacks.progress import Progress
from lightning_gen.callbacks.random_state import RandomState
from lightning_gen.callbacks.reconstructions import Reconstructions
from lightning_gen.callbacks.same_noise import SameNoise
from lightning_gen.callbacks.sample_diversity import SampleDiversity
from lightning_gen.callbacks.samples import Samples
from lightning_gen.callbacks.traversal import Traversal

__all__ = [
    "Arithmetic",
    "CodebookUse",
    "CollapseMonitor",
    "ConditionalSamples",
    "Denoising",
    "FiniteLoss",
    "Interpolation",
    "LatentGrid",
    "LatentScatter",
    "LossCurves",
    "Picture",
    "Progress",
    "RandomState",
    "Reconstructions",
    "SameNoise",
    "SampleDiversity",
    "Samples",
    "Traversal",
]
