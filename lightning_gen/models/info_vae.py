"""The information-maximising variational autoencoder."""

from typing import Unpack

from lightning_gen.contracts import ImageShape
from lightning_gen.errors import UserError
from lightning_gen.models.encoder_decoder import Parts
from lightning_gen.models.vae import VariationalAutoencoder
from lightning_gen.objectives import ELBO, MMD, RBF, Kernel, Objective


class InfoVAE(VariationalAutoencoder):
    """InfoVAE (Zhao, Song & Ermon 2019, arXiv:1706.02262) with the MMD as its divergence.

    The loss is -log p(x|z) + (1 - alpha) KL(q(z|x) || p(z)) + (alpha + lambda - 1) MMD(q(z), p(z))
    in nats per image. alpha = 0, lambda = 1 is the VAE, alpha = 1 drops the KL; between them a
    larger alpha lets a code tell more of its image, and a larger lambda holds the codes of all
    images together to the prior. The MMD is of one posterior sample an image, within a batch, on
    each device.

    Args:
        alpha: how much of the KL is taken away, at most 1.
        lambda_: nats per image for each unit of the MMD, before 1 - alpha is taken off. The
            estimate is noisy: 1000 on batches of 100 can hold the codes at the prior for good,
            where they tell nothing.
        kernel: of the MMD.
    """

    def __init__(
        self,
        image_shape: ImageShape,
        latent_dim: int = 10,
        alpha: float = 0.5,
        lambda_: float = 100.0,
        kernel: Kernel = RBF(),  # noqa: B008  (frozen)
        objective: Objective = ELBO(),  # noqa: B008  (frozen)
        **parts: Unpack[Parts],
    ) -> None:
        check_weights(alpha, lambda_)
        weights = {"beta": 1 - alpha, "weight": alpha + lambda_ - 1}
        bound = MMD.like(objective, kernel=kernel, **weights)
        super().__init__(image_shape, latent_dim, objective=bound, **parts)


def check_weights(alpha: float, lambda_: float) -> None:
    """Raise a UserError unless the KL and the MMD have finite weights of at least 0."""
    if not -float("inf") < alpha <= 1:
        raise UserError(
            f"alpha is finite and at most 1, so that the KL's weight 1 - alpha is at least 0, "
            f"got {alpha}. Set model.alpha between 0 (the VAE's KL) and 1 (no KL)."
        )
    if not 0 <= alpha + lambda_ - 1 < float("inf"):
        raise UserError(
            "alpha + lambda_ - 1 is the MMD's weight, finite and at least 0, got "
            f"alpha {alpha} and lambda_ {lambda_}. Set model.lambda_ to at least {1 - alpha:g}."
        )
