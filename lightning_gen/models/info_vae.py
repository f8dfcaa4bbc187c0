"""The information-maximising variational autoencoder."""

import math
from typing import Unpack

from lightning_gen.contracts import ImageShape
from lightning_gen.errors import UserError
from lightning_gen.models.vae import VAEParts, VariationalAutoencoder
from lightning_gen.objectives import MMD, RBF, Kernel


class InfoVAE(VariationalAutoencoder):
    """InfoVAE (Zhao, Song & Ermon 2019, arXiv:1706.02262) with the MMD as its divergence.

    The loss is -log p(x|z) + (1 - alpha) KL(q(z|x) || p(z)) + (alpha + lambda - 1) MMD(q(z), p(z))
    in nats per image. alpha = 0, lambda = 1 is the VAE, alpha = 1 drops the KL; a larger alpha lets
    a code tell more of its image, and a larger lambda holds the codes of all images together to the
    prior. The MMD is of one posterior sample an image, within a batch, on each device.

    Args:
        alpha: how much of the KL is taken away, at most 1.
        lambda_: nats per image for each unit of the MMD, before 1 - alpha is taken off; 1000 on
            batches of 100 can hold the codes at the prior for good, where they tell nothing.
        kernel: of the MMD.
    """

    def __init__(
        self,
        image_shape: ImageShape,
        latent_dim: int = 10,
        alpha: float = 0.5,
        lambda_: float = 100.0,
        kernel: Kernel = RBF(),  # noqa: B008  (frozen)
        **parts: Unpack[VAEParts],
    ) -> None:
        beta, weight = 1 - alpha, alpha + lambda_ - 1
        if not (0 <= beta < math.inf and 0 <= weight < math.inf):
            raise UserError(
                "1 - alpha and alpha + lambda_ - 1, the weights of KL and MMD, are finite and at "
                f"least 0, got alpha {alpha} and lambda_ {lambda_}. Set model.alpha between 0 (the "
                "VAE's KL) and 1 (no KL), and model.lambda_ to 1 or more."
            )
        super().__init__(image_shape, latent_dim, **parts)
        self.objective = MMD.like(self.objective, kernel=kernel, beta=beta, weight=weight)
