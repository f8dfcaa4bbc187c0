"""When to draw, to measure and to stop during training."""

from lightning_gen.callbacks.codebook_use import CodebookUse
from lightning_gen.callbacks.collapse_monitor import CollapseMonitor
from lightning_gen.callbacks.conditional_samples import ConditionalSamples
from lightning_gen.callbacks.denoising import Denoising
from lightning_gen.callbacks.finite_loss import FiniteLoss
from lightning_gen.callbacks.loss_curves import LossCurves
from lightning_gen.callbacks.picture import Picture
from lightning_gen.callbacks.progress import Progress
from lightning_gen.callbacks.random_state import RandomState
from lightning_gen.callbacks.reconstructions import Reconstructions
from lightning_gen.callbacks.same_noise import SameNoise
from lightning_gen.callbacks.sample_diversity import SampleDiversity
from lightning_gen.callbacks.samples import Samples

__all__ = [
    "CodebookUse",
    "CollapseMonitor",
    "ConditionalSamples",
    "Denoising",
    "FiniteLoss",
    "LossCurves",
    "Picture",
    "Progress",
    "RandomState",
    "Reconstructions",
    "SameNoise",
    "SampleDiversity",
    "Samples",
]
