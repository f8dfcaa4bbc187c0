"""What a model shows, one object a picture; a callback, a verb and compare draw them."""

from lightning_gen.pictures.arithmetic import Arithmetic
from lightning_gen.pictures.interpolation import Interpolation
from lightning_gen.pictures.latent_grid import LatentGrid
from lightning_gen.pictures.latent_scatter import LatentScatter
from lightning_gen.pictures.picture import Names, NothingToDrawError, Picture, Seen, View
from lightning_gen.pictures.reconstructions import Denoising, Reconstructions
from lightning_gen.pictures.samples import ConditionalSamples, Samples
from lightning_gen.pictures.traversal import Traversal

__all__ = [
    "Arithmetic",
    "ConditionalSamples",
    "Denoising",
    "Interpolation",
    "LatentGrid",
    "LatentScatter",
    "Names",
    "NothingToDrawError",
    "Picture",
    "Reconstructions",
    "Samples",
    "Seen",
    "Traversal",
    "View",
]
