"""The variational autoencoder with continuous and discrete codes."""

from functools import partial
from typing import ClassVar, Unpack

import torch
from torch import Tensor

from lightning_gen.contracts import Batch, Codes, Images, ImageShape, Terms
from lightning_gen.errors import UserError, check_number
from lightning_gen.models.encoder_decoder import Autoencoder, AutoencoderParts, check_latent_dim
from lightning_gen.models.module import Module, SamplesPrior
from lightning_gen.networks import Architecture, Conv
from lightning_gen.objectives import ELBO, DiagonalGaussian
from lightning_gen.objectives.categorical import Categorical
from lightning_gen.objectives.posterior import LogWeights
from lightning_gen.priors.joint import NormalAndCategories
from lightning_gen.quantities import NATS, Quantity


class JointVAE(Autoencoder, SamplesPrior, Module):
    """JointVAE (Dupont 2018, arXiv:1804.00104): categories beside a Gaussian code.

    q(z, c|x) = q(z|x) q(c|x), and p(c) is uniform. A code is [z, c]: the Gaussian part, then one
    one-hot vector a variable, which training relaxes (Gumbel-softmax) and evaluation draws.
    ``latent_dim`` counts all its numbers once the model is built.

    Args:
        latent_dim: length of the Gaussian part.
        categories: the number of values of each discrete variable.
        temperature: of the relaxation.
        architecture: makes the encoder and the decoder.
        objective: an ELBO, whose weight and capacity are those of the Gaussian part's KL.
        categorical_objective: an ELBO, whose weight and capacity are those of the categories' KL,
            which is at most log K nats for K values.
    """

    logs: ClassVar[dict[str, Quantity]] = {"kl_categories": Quantity(NATS, weight=1.0)}

    def __init__(
        self,
        image_shape: ImageShape,
        latent_dim: int = 10,
        categories: tuple[int, ...] = (10,),
        temperature: float = 0.67,
        architecture: Architecture = Conv(),  # noqa: B008  (frozen)
        objective: ELBO = ELBO(),  # noqa: B008  (frozen)
        categorical_objective: ELBO = ELBO(),  # noqa: B008  (frozen)
        **parts: Unpack[AutoencoderParts],
    ) -> None:
        check_latent_dim(latent_dim)
        check_number("model.temperature", temperature, 1e-3, "Set it to 0.67.")
        if not categories or min(categories) < 2:
            raise UserError(
                "model.categories lists the number of values of each discrete variable, two or "
                f"more, got {[*categories]}. Set it to [10]."
            )
        for each in (objective, categorical_objective):
            if type(each) is not ELBO:
                raise UserError(f"the objectives of JointVAE are ELBO(), got {each!r:.60}.")
        discrete = sum(categories)
        encoder = architecture.encoder(image_shape, 2 * latent_dim + discrete)
        decoder = partial(architecture.decoder, image_shape, latent_dim + discrete)
        super().__init__(image_shape, encoder, decoder, **parts)
        self.latent_dim = latent_dim + discrete
        self.categories, self.temperature = tuple(categories), temperature
        self.objective, self.categorical_objective = objective, categorical_objective
        self.prior = NormalAndCategories(self.categories).of(self)

    def infer(self, images: Images) -> tuple[DiagonalGaussian, Categorical]:
        """q(z|x) and q(c|x) of each image."""
        features = self.encoder(images)
        discrete = sum(self.categories)
        gaussian = DiagonalGaussian.from_features(features[:, :-discrete])
        return gaussian, Categorical.from_logits(features[:, -discrete:], self.categories)

    def posterior(self, images: Images) -> DiagonalGaussian:
        """q(z|x) of each image, the Gaussian part."""
        return self.infer(images)[0]

    def encode(self, images: Images) -> Codes:
        """The posterior mean and the most probable categories [N, D] of each image."""
        gaussian, categorical = self.infer(images)
        return torch.cat([gaussian.mean, categorical.mode()], dim=1)

    def draw_codes(self, images: Images) -> Codes:
        """One draw [N, D] of the posterior of each image."""
        gaussian, categorical = self.infer(images)
        return torch.cat([gaussian.sample(), categorical.sample()], dim=1)

    def log_weights(self, images: Images, num_samples: int) -> LogWeights:
        """Log p(x, z, c) / q(z, c|x) of ``num_samples`` draws for each image, in nats."""
        gaussian, categorical = (part.repeated(num_samples) for part in self.infer(images))
        latents, chosen = gaussian.sample(), categorical.sample()
        codes = torch.cat([latents, chosen], dim=1)
        inferred = gaussian.log_prob(latents) + categorical.log_prob(chosen)
        ratio = self.prior.log_prob(codes) - inferred
        return (self.log_likelihood(images, codes) + ratio).view(num_samples, -1)

    @property
    def quantities(self) -> dict[str, Quantity]:
        """Those of both objectives."""
        categories = Quantity(NATS, weight=self.categorical_objective.beta)
        return super().quantities | self.objective.quantities | {"kl_categories": categories}

    def terms(self, batch: Batch, inputs: Images, training_step: int | None = None) -> Terms:
        """The objectives' loss and its parts."""
        gaussian, categorical = self.infer(inputs)
        training = training_step is not None
        chosen = categorical.relaxed(self.temperature) if training else categorical.sample()
        codes = torch.cat([gaussian.sample(), chosen], dim=1)
        fit = self.log_likelihood(batch.images, codes)
        bound = self.objective.bound(fit, gaussian.kl_to_standard_normal(), training_step)
        kl = categorical.kl_to_uniform()
        loss = bound["loss"] + self.categorical_objective.cost(kl, training_step)
        return bound | {"loss": loss, "kl_categories": kl.mean(dim=0).sum()}

    def logged(self, terms: dict[str, Tensor]) -> dict[str, Tensor]:
        """The terms; bits per dimension are those of both KLs."""
        whole = terms | {"kl": terms["kl"] + terms["kl_categories"]}
        return super().logged(whole) | {"kl": terms["kl"]}
