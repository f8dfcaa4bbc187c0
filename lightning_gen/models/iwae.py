"""The importance-weighted autoencoder."""

from typing import Unpack

from lightning_gen.contracts import ImageShape
from lightning_gen.models.vae import VAEParts, VariationalAutoencoder
from lightning_gen.objectives import ImportanceWeighted


class IWAE(VariationalAutoencoder):
    """Importance-weighted autoencoder (Burda, Grosse & Salakhutdinov 2016, arXiv:1509.00519).

    Trains the bound L_k on log p(x), which is the tighter the more draws it takes; L_1 is the VAE.

    Args:
        num_samples: k, posterior draws an image; time and memory of the decoder grow with it.
    """

    def __init__(
        self,
        image_shape: ImageShape,
        latent_dim: int = 20,
        num_samples: int = 5,
        **parts: Unpack[VAEParts],
    ) -> None:
        super().__init__(image_shape, latent_dim, **parts)
        self.objective = ImportanceWeighted.like(self.objective, num_samples=num_samples)
