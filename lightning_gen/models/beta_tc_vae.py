"""The beta-TCVAE, which weighs the total correlation of the codes."""

from typing import Unpack

from lightning_gen.contracts import ImageShape
from lightning_gen.errors import check_number
from lightning_gen.models.vae import VAEParts, VariationalAutoencoder
from lightning_gen.objectives import TotalCorrelation


class BetaTCVAE(VariationalAutoencoder):
    """beta-TCVAE (Chen, Li, Grosse & Duvenaud 2018, arXiv:1802.04942), with alpha = gamma = 1.

    The KL holds the mutual information I(x; z), the total correlation of the codes and the KL of
    each dimension; the total correlation is weighted by beta and the rest by 1. Its estimate, and
    with it ``val/loss`` and ``test/loss``, depends on the batch size.

    Args:
        beta: weight of the total correlation, at least 1, which is the VAE.
    """

    def __init__(
        self,
        image_shape: ImageShape,
        latent_dim: int = 10,
        beta: float = 6.0,
        **parts: Unpack[VAEParts],
    ) -> None:
        remedy = "Set it to 6, or use BetaVAE for a smaller weight of the whole KL."
        check_number("BetaTCVAE.beta, the weight of the total correlation,", beta, 1, remedy)
        super().__init__(image_shape, latent_dim, **parts)
        self.objective = TotalCorrelation.like(self.objective, weight=beta - 1)
