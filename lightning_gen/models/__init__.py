"""Models, each a LightningModule of its own name."""

from lightning_gen.models.autoencoder import AE, CAE, StackedDAE
from lightning_gen.models.classifier import Classifier
from lightning_gen.models.cvae import CVAE
from lightning_gen.models.dcgan import DCGAN
from lightning_gen.models.factor_vae import FactorVAE
from lightning_gen.models.vae import IWAE, VAE, BetaTCVAE, BetaVAE, InfoVAE, ResVAE

# The family for a model of one's own; no model by itself, so that no file names it.
from lightning_gen.models.vae import VariationalAutoencoder as VariationalAutoencoder
from lightning_gen.models.vqvae import VQVAE
from lightning_gen.models.wae import WAE
from lightning_gen.models.wae_gan import WAEGAN

__all__ = [
    "AE",
    "CAE",
    "CVAE",
    "DCGAN",
    "IWAE",
    "VAE",
    "VQVAE",
    "WAE",
    "WAEGAN",
    "BetaTCVAE",
    "BetaVAE",
    "Classifier",
    "FactorVAE",
    "InfoVAE",
    "ResVAE",
    "StackedDAE",
]
