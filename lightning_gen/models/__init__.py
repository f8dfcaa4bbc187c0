"""Generative models, each a LightningModule of its own name."""

from lightning_gen.models.autoencoder import AE, CAE
from lightning_gen.models.cvae import CVAE
from lightning_gen.models.stacked_dae import StackedDAE
from lightning_gen.models.vae import VAE, BetaVAE, ResVAE

__all__ = [
    "AE",
    "CAE",
    "CVAE",
    "VAE",
    "BetaVAE",
    "ResVAE",
    "StackedDAE",
]
