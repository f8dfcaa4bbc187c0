"""The hierarchical variational autoencoder."""

from functools import partial
from typing import Unpack

import torch
from jaxtyping import Float
from torch import Tensor

from lightning_gen.contracts import Batch, Codes, Images, ImageShape, Terms
from lightning_gen.errors import UserError
from lightning_gen.models.encoder_decoder import Autoencoder, AutoencoderParts
from lightning_gen.models.module import Module, SamplesPrior
from lightning_gen.networks.top_down import Scale, ScaleMaps, TopDown, TopDownDecoder
from lightning_gen.noise import normal_like
from lightning_gen.objectives import ELBO, DiagonalGaussian
from lightning_gen.objectives.posterior import LogWeights
from lightning_gen.priors import StandardNormal
from lightning_gen.quantities import NATS, Quantity


class HierarchicalVAE(Autoencoder, SamplesPrior, Module):
    """Ladder VAE: codes on several scales, each inferred given those before it.

    p(z) = prod_l p(z_l | z_1 .. z_(l-1)) from the smallest map to the largest, with a posterior of
    the same order that also sees the image (Sonderby et al. 2016, arXiv:1602.02282; Child 2021,
    arXiv:2011.10650). All are diagonal Gaussians. The codes [N, D] of this class are the noise of
    each p(z_l | ..): their prior is N(0, I), and the KL of each number is in closed form given the
    codes before it.

    A posterior starts at its prior, residual blocks start at the identity and standard deviations
    are bounded, which keeps the first steps finite; set trainer.gradient_clip_val for the others.

    Args:
        architecture: the scales and their networks.
        objective: an ELBO, with warm-up, free bits or capacity of the KL.
    """

    decoder: TopDownDecoder

    def __init__(
        self,
        image_shape: ImageShape,
        architecture: TopDown = TopDown(),  # noqa: B008  (frozen)
        objective: ELBO = ELBO(),  # noqa: B008  (frozen)
        **parts: Unpack[AutoencoderParts],
    ) -> None:
        if type(objective) is not ELBO:
            raise UserError(
                "the posterior of HierarchicalVAE is a chain of Gaussians, and its objective an "
                f"ELBO, got {objective!r:.60}. Choose ELBO(), or VAE for another objective."
            )
        encoder = architecture.encoder(image_shape)
        decoder = partial(architecture.decoder, image_shape)
        super().__init__(image_shape, encoder, decoder, **parts)
        self.latent_dim = self.decoder.latent_dim
        self.objective = objective
        self.prior = StandardNormal().of(self)

    def infer(
        self, images: Images, times: int = 1, *, noisy: bool = True
    ) -> tuple[Float[Tensor, "m _ h w"], Float[Tensor, "m d"], DiagonalGaussian]:
        """Draw the codes of each image, ``times`` over, or take their means where not ``noisy``.

        Also the raw parameters of the images that they decode to, and the posterior of each number
        given those before it.
        """
        features = {maps.shape[2:]: maps.repeat(times, 1, 1, 1) for maps in self.encoder(images)}
        found: list[tuple[Codes, Codes, Codes]] = []

        def draw(maps: ScaleMaps, scale: Scale) -> ScaleMaps:
            mean, log_var = scale.infer(maps, features[scale.size])
            noise = normal_like(mean) if noisy else 0
            code = mean + (0.5 * log_var).exp() * noise
            found.append((code.flatten(1), mean.flatten(1), log_var.flatten(1)))
            return code.to(maps)

        params = self.decoder.descend(times * images.shape[0], draw)
        codes, means, log_vars = (torch.cat(part, dim=1) for part in zip(*found, strict=True))
        return params, codes, DiagonalGaussian(means, log_vars)

    def encode(self, images: Images) -> Codes:
        """The posterior mean [N, D] of each number, given the means before it."""
        _, codes, _ = self.infer(images, noisy=False)
        return codes

    def draw_codes(self, images: Images) -> Codes:
        """One draw [N, D] of the posterior of each image."""
        _, codes, _ = self.infer(images)
        return codes

    def log_weights(self, images: Images, num_samples: int) -> LogWeights:
        """Log p(x, z) / q(z|x) of ``num_samples`` posterior draws for each image, in nats."""
        params, codes, posterior = self.infer(images, num_samples)
        fit = self.likelihood.log_prob(params, images.repeat(num_samples, 1, 1, 1))
        ratio = self.prior.log_prob(codes) - posterior.log_prob(codes)
        return (fit + ratio).view(num_samples, -1)

    def terms(self, batch: Batch, inputs: Images, training_step: int | None = None) -> Terms:
        """The objective's loss and its parts."""
        params, _, posterior = self.infer(inputs)
        fit = self.likelihood.log_prob(params, batch.images)
        kl = posterior.kl_to_standard_normal()
        bound = self.objective.bound(fit, kl, training_step)
        parts = torch.split(kl.mean(dim=0), [*self.decoder.code_sizes.values()])
        scales = zip(self._scales, parts, strict=True)
        return bound | {name: part.sum() for name, part in scales}

    @property
    def quantities(self) -> dict[str, Quantity]:
        """Those of the objective, and the KL of each scale, such as ``kl_7x7``."""
        scales = dict.fromkeys(self._scales, Quantity(NATS))
        return super().quantities | self.objective.quantities | scales

    @property
    def _scales(self) -> tuple[str, ...]:
        return tuple(f"kl_{size}" for size in self.decoder.code_sizes)
