"""Wasserstein autoencoders whose penalty is the maximum mean discrepancy."""

from functools import partial
from typing import Unpack

from lightning_gen.contracts import Batch, Codes, Images, ImageShape, Terms
from lightning_gen.errors import check_number
from lightning_gen.models.encoder_decoder import (
    Autoencoder,
    DenoisingParts,
    Parts,
    check_latent_dim,
)
from lightning_gen.models.module import Module, SamplesPrior
from lightning_gen.networks import Architecture, Conv
from lightning_gen.objectives import Gaussian, InverseMultiquadratics, Kernel, Likelihood
from lightning_gen.objectives.mmd import maximum_mean_discrepancy
from lightning_gen.priors import StandardNormal
from lightning_gen.quantities import Quantity


class WassersteinAutoencoder(Autoencoder, SamplesPrior, Module):
    """A deterministic encoder, whose codes as a whole are to be distributed as N(0, I).

    Args:
        latent_dim: length of a code.
        weight: of the distance to the prior.
        architecture: makes the encoder and the decoder.
    """

    def __init__(
        self,
        image_shape: ImageShape,
        latent_dim: int,
        weight: float,
        architecture: Architecture = Conv(),  # noqa: B008  (frozen)
        likelihood: Likelihood = Gaussian(),  # noqa: B008  (copied by the base)
        **parts: Unpack[DenoisingParts],
    ) -> None:
        check_latent_dim(latent_dim)
        remedy = "Set it to 10, and higher where samples look worse than reconstructions."
        check_number("model.weight", weight, 0, remedy)
        encoder = architecture.encoder(image_shape, latent_dim)
        decoder = partial(architecture.decoder, image_shape, latent_dim)
        super().__init__(image_shape, encoder, decoder, likelihood, **parts)
        self.latent_dim = latent_dim
        self.prior = StandardNormal().of(self)
        self.weight = weight

    @property
    def quantities(self) -> dict[str, Quantity]:
        """Also the distance to the prior."""
        return super().quantities | {"mmd": Quantity(weight=self.weight)}

    def encode(self, images: Images) -> Codes:
        """The code [N, D] of each image, in float32."""
        return self.encoder(images).float()  # type: ignore[no-any-return]


class WAE(WassersteinAutoencoder):
    """WAE-MMD (Tolstikhin, Bousquet, Gelly & Schoelkopf 2018, arXiv:1711.01558, algorithm 2).

    The loss is -log p(x|z) + weight * MMD(q(z), N(0, I)), which draws the codes of all images
    together to the prior, and not each. The MMD is estimated within a batch, on each device,
    against as many draws of the prior: a batch wants 100 images or more.

    With ``Gaussian(sigma)`` the objective is the paper's, whose cost is ||x - x'||^2, where
    ``weight`` is the paper's (10 on MNIST, 100 on CelebA) divided by 2 sigma^2. Images are in
    [0, 1] here; in [-1, 1] their squared error is four times ours.

    Args:
        latent_dim: length of a code; about the data's own number of dimensions, since the codes of
            a longer one cannot fill the prior, and its draws fall where no image was.
        kernel: of the MMD.
        weight: nats per image for each unit of the MMD, at least 0; 0 is the plain autoencoder.
    """

    def __init__(
        self,
        image_shape: ImageShape,
        latent_dim: int = 8,
        kernel: Kernel = InverseMultiquadratics(),  # noqa: B008  (frozen)
        weight: float = 100.0,
        **parts: Unpack[Parts],
    ) -> None:
        super().__init__(image_shape, latent_dim, weight, **parts)
        self.kernel = kernel

    def terms(self, batch: Batch, inputs: Images, training_step: int | None = None) -> Terms:
        """The loss and its parts, against as many draws of the prior as there are images."""
        codes = self.encode(inputs)
        mmd = maximum_mean_discrepancy(codes, self.prior.like(codes), self.kernel)
        reconstruction = -self.log_likelihood(batch.images, codes).mean()
        loss = reconstruction + self.weight * mmd
        return {"loss": loss, "reconstruction": reconstruction, "mmd": mmd}
