"""Encoders and decoders: torch modules from tensors to tensors."""

from lightning_gen.networks.architecture import Architecture
from lightning_gen.networks.augmentation import DiffAugment
from lightning_gen.networks.conv import Conv, Residual
from lightning_gen.networks.corruption import Corruption, GaussianNoise, Masking, SaltAndPepper
from lightning_gen.networks.dcgan import AdversarialNetworks, DCGANNetworks
from lightning_gen.networks.dense import Dense, LatentDiscriminator
from lightning_gen.networks.pooled import Pooled
from lightning_gen.networks.quantizer import Codebook
from lightning_gen.networks.spatial import SpatialArchitecture, SpatialResidual
from lightning_gen.networks.top_down import TopDown

__all__ = [
    "AdversarialNetworks",
    "Architecture",
    "Codebook",
    "Conv",
    "Corruption",
    "DCGANNetworks",
    "Dense",
    "DiffAugment",
    "GaussianNoise",
    "LatentDiscriminator",
    "Masking",
    "Pooled",
    "Residual",
    "SaltAndPepper",
    "SpatialArchitecture",
    "SpatialResidual",
    "TopDown",
]
