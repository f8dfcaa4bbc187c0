"""Encoders and decoders: torch modules from tensors to tensors."""

from lightning_gen.networks.architecture import Architecture
from lightning_gen.networks.conv import Conv
from lightning_gen.networks.corruption import Corruption, GaussianNoise, Masking, SaltAndPepper
from lightning_gen.networks.dense import Dense
from lightning_gen.networks.pooled import Pooled
from lightning_gen.networks.residual import Residual

__all__ = [
    "Architecture",
    "Conv",
    "Corruption",
    "Dense",
    "GaussianNoise",
    "Masking",
    "Pooled",
    "Residual",
    "SaltAndPepper",
]
