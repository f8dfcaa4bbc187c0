"""Generative models, each a LightningModule of its own name."""

from lightning_gen.models.autoencoder import AE, CAE
from lightning_gen.models.vae import VAE, BetaVAE, ResVAE

__all__ = ["AE", "CAE", "VAE", "BetaVAE", "ResVAE"]
