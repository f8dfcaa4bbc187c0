"""The importance-weighted autoencoder."""

from typing import NamedTuple, Unpack

from jaxtyping import Float
from torch import Tensor

from lightning_gen.contracts import Batch, Images, ImageShape
from lightning_gen.errors import UserError
from lightning_gen.models.encoder_decoder import Parts
from lightning_gen.models.vae import VariationalAutoencoder
from lightning_gen.objectives import ELBO
from lightning_gen.objectives.importance import importance_weighted_bound


class IWAETerms(NamedTuple):
    """Means over a batch, in nats per image: loss = -L_k; ``negative_elbo`` is -L_1."""

    loss: Float[Tensor, ""]
    negative_elbo: Float[Tensor, ""]


class IWAE(VariationalAutoencoder):
    """Importance-weighted autoencoder (Burda, Grosse & Salakhutdinov 2016, arXiv:1509.00519).

    Trains the bound L_k on log p(x), which is the tighter the more draws it takes; L_1 is the VAE.

    Args:
        image_shape: (channels, height, width); the command line takes it from the data.
        latent_dim: length of a code.
        num_samples: k, posterior draws an image; time and memory of the decoder grow with it.
        parts: architecture, likelihood, corruption, optimizer and schedule.
    """

    def __init__(
        self,
        image_shape: ImageShape,
        latent_dim: int = 20,
        num_samples: int = 5,
        **parts: Unpack[Parts],
    ) -> None:
        if num_samples < 1:
            raise UserError(
                f"IWAE.num_samples is the number of posterior draws an image, at least 1, got "
                f"{num_samples}. Set it to 5."
            )
        super().__init__(image_shape, latent_dim, objective=ELBO(), **parts)
        self.num_samples = num_samples

    def terms(self, batch: Batch, inputs: Images, training_step: int | None = None) -> IWAETerms:
        """-L_k and -L_1, from the same draws."""
        posterior = self.posterior(inputs)
        log_weights = self._log_weights(posterior, batch.images, self.num_samples)
        return IWAETerms(-importance_weighted_bound(log_weights).mean(), -log_weights.mean())
