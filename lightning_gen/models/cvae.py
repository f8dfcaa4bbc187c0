"""The conditional variational autoencoder."""

from dataclasses import dataclass
from functools import partial
from typing import Any, Unpack

import torch
from jaxtyping import Float
from torch import Tensor

from lightning_gen.contracts import Batch, Codes, Images, ImageShape, Terms
from lightning_gen.models.conditional import SamplesConditions
from lightning_gen.models.vae import BoundParts, VariationalAutoencoder
from lightning_gen.networks import Architecture, Conv
from lightning_gen.networks.condition import ConditionalArchitecture, Vectors, make_condition
from lightning_gen.objectives import DiagonalGaussian, Likelihood
from lightning_gen.priors import VectorPrior


class CVAE(SamplesConditions, VariationalAutoencoder):
    """Conditional VAE (Kingma et al. 2014, arXiv:1406.5298, model M2; Sohn, Lee & Yan 2015).

    Encoder and decoder are told the class of each image, or some of its attributes: q(z|x, y) and
    p(x|z, y), with the same p(z) whatever y is. A code is [z, y]: the latent vector, then the
    condition as the networks see it, so that ``decode`` needs nothing else. What encodes images
    must know y: ``model.condition_on(batch)`` does, and this class itself offers no ``encode``,
    ``reconstruct``, ``posterior`` or ``log_weights``.

    Args:
        class_names: names of the classes; the command line takes them from the data.
        attributes: names of the factors to condition on; None conditions on the class.
        factors: number of values of each factor, by name; the command line takes it from the data.
        embedding_dim: length of a learned linear embedding of the condition in each network; None
            gives the networks the vector itself (one-hot for a class).
    """

    # Blocked, so that ``isinstance`` finds no capability here that a call would refuse.
    posterior = encode = reconstruct = log_weights = None  # type: ignore[assignment]

    def __init__(
        self,
        image_shape: ImageShape,
        class_names: tuple[str, ...],
        latent_dim: int = 20,
        attributes: tuple[str, ...] | None = None,
        factors: dict[str, int] | None = None,
        embedding_dim: int | None = None,
        architecture: Architecture = Conv(),  # noqa: B008  (frozen)
        **parts: Unpack[BoundParts],
    ) -> None:
        condition = make_condition(class_names, attributes, factors or {})
        conditional = ConditionalArchitecture(architecture, len(condition.names), embedding_dim)
        super().__init__(image_shape, latent_dim, conditional, **parts)
        self._condition_on(condition)

    def condition_on(self, batch: Batch) -> "ConditionedVAE":
        """The model with the condition of each image of ``batch`` filled in."""
        return ConditionedVAE(self, self.condition.of(batch))

    @property
    def conditioned(self) -> "ConditionedVAE":
        """What ``condition_on`` gives, of no image."""
        return ConditionedVAE(self, self.conditions.examples[:0])

    def terms(self, batch: Batch, inputs: Images, training_step: int | None = None) -> Terms:
        """The objective's loss, of log p(x|y), and its parts."""
        knowing = self.condition_on(batch)
        if training_step is not None:
            self.conditions.add(knowing.vectors)
        log_likelihood = partial(knowing.log_likelihood, batch.images)
        return self.objective(log_likelihood, knowing.posterior(inputs), self.prior, training_step)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take a checkpoint of 0.1.0, which has frequencies of conditions and no rows of them."""
        weights = checkpoint["state_dict"]
        if weights.pop("frequency", None) is not None:
            del weights["steps_counted"]
            weights["conditions._extra_state"] = self.conditions.get_extra_state()[:0]


@dataclass(frozen=True)
class ConditionedVAE:
    """A :class:`CVAE` and the conditions of the images that it will be asked about."""

    model: CVAE
    vectors: Vectors

    reconstruct = VariationalAutoencoder.reconstruct
    log_weights = VariationalAutoencoder.log_weights

    def posterior(self, images: Images) -> DiagonalGaussian:
        """q(z|x, y) of each image."""
        return DiagonalGaussian.from_features(self.model.encoder(images, self.vectors))

    def encode(self, images: Images) -> Codes:
        """The code [z, y] of each image: the posterior mean and the condition."""
        return torch.cat([self.posterior(images).mean, self.vectors], dim=1)

    def decode(self, codes: Codes) -> Images:
        """Images of codes [z, y]."""
        return self.model.decode(codes)

    @property
    def prior(self) -> VectorPrior:
        """The model's p(z)."""
        return self.model.prior

    def log_likelihood(self, images: Images, latents: Float[Tensor, "m d"]) -> Float[Tensor, " m"]:
        """Log p(x|z, y) of latents [k * N, D], k for each of N images, in nats."""
        repeated = self.vectors.repeat(len(latents) // len(images), 1)
        return self.model.log_likelihood(images, torch.cat([latents, repeated], dim=1))

    @property
    def observation_model(self) -> Likelihood:
        """The model's p(x|z, y)."""
        return self.model.likelihood
