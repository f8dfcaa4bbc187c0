"""A small model of each kind: with and without a prior, an encoder, a condition."""

from functools import partial

from torch.optim import Adam

from lightning_gen.data import MiniFashionMNIST
from lightning_gen.models import AE, CGAN, CVAE, DCGAN, VAE, VQVAE
from lightning_gen.networks import Codebook, DCGANNetworks, SpatialResidual
from lightning_gen.priors import Autoregressive
from support.models import tiny

SHAPE = (1, 28, 28)
OF_VQVAE = SpatialResidual((4, 8), 1), Codebook(size=16, dim=4), Autoregressive(8, 1, 2)


KINDS = {
    "AE": partial(tiny, AE),
    "VAE": partial(tiny, VAE),
    "CVAE": partial(tiny, CVAE, class_names=MiniFashionMNIST.info.class_names),
    "VQVAE": partial(VQVAE, SHAPE, *OF_VQVAE, autoencoder_epochs=1),
    "DCGAN": partial(DCGAN, SHAPE, 4, DCGANNetworks((4, 8))),
    "CGAN": partial(
        *(CGAN, SHAPE, MiniFashionMNIST.info.class_names),
        **{"latent_dim": 4, "architecture": DCGANNetworks((4, 8))},
    ),
}
WITH_ENCODER = ("AE", "VAE", "CVAE", "VQVAE")


def fixed(kind):
    """A model that training does not change."""
    return KINDS[kind](optimizer=partial(Adam, lr=0.0))
