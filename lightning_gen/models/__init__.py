"""Models, each a LightningModule of its own name."""

from lightning_gen.models.autoencoder import AE, CAE, RAE, StackedDAE
from lightning_gen.models.cgan import CGAN
from lightning_gen.models.classifier import Classifier
from lightning_gen.models.cvae import CVAE
from lightning_gen.models.dcgan import DCGAN, R3GAN
from lightning_gen.models.factor_vae import FactorVAE
from lightning_gen.models.hierarchical_vae import HierarchicalVAE
from lightning_gen.models.joint_vae import JointVAE
from lightning_gen.models.vae import DIPVAE, IWAE, VAE, BetaTCVAE, BetaVAE, InfoVAE, ResVAE, VampVAE

# The family for a model of one's own; no model by itself, so that no file names it.
from lightning_gen.models.vae import VariationalAutoencoder as VariationalAutoencoder
from lightning_gen.models.vqvae import VQVAE
from lightning_gen.models.wae import WAE
from lightning_gen.models.wae_gan import AAE, WAEGAN

__all__ = [
    "AAE",
    "AE",
    "CAE",
    "CGAN",
    "CVAE",
    "DCGAN",
    "DIPVAE",
    "IWAE",
    "R3GAN",
    "RAE",
    "VAE",
    "VQVAE",
    "WAE",
    "WAEGAN",
    "BetaTCVAE",
    "BetaVAE",
    "Classifier",
    "FactorVAE",
    "HierarchicalVAE",
    "InfoVAE",
    "JointVAE",
    "ResVAE",
    "StackedDAE",
    "VampVAE",
]
