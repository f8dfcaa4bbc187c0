"""The vector-quantised autoencoder and the learned prior of its codes."""

import math
from functools import partial
from typing import ClassVar, Unpack

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lightning_gen.contracts import Batch, Codes, Images, ImageShape, Terms
from lightning_gen.errors import UserError, check_number
from lightning_gen.models.encoder_decoder import Autoencoder, AutoencoderParts
from lightning_gen.models.module import Module, check_temperature
from lightning_gen.networks import Codebook, SpatialArchitecture, SpatialResidual
from lightning_gen.objectives.posterior import LogWeights
from lightning_gen.objectives.vq import code_use, commitment, perplexity, straight_through
from lightning_gen.priors import Autoregressive
from lightning_gen.quantities import NATS, Quantity

CodeIndices = Int[Tensor, "n positions codebooks"]
Maps = Float[Tensor, "n d map_h map_w"]


class VQVAE(Autoencoder, Module):
    """VQ-VAE (van den Oord, Vinyals & Kavukcuoglu 2017, arXiv:1711.00937).

    The encoder's feature map is replaced, position by position, by the nearest codes. A run has two
    phases, told apart by the epoch, so that a resumed run is in the right one:

    1. The first ``autoencoder_epochs`` epochs train encoder, codebooks and decoder on
       -log p(x|z) + weight * ||z_e - sg[e]||^2, both summed over the image, the paper's equation 3
       with codes that are moving averages. The prior of the codes is uniform.
    2. All other epochs train the prior, a causal transformer, on -log p(codes) of the undamaged
       images; encoder, codebooks and decoder are frozen, and the decoder is not run.

    The posterior is one point, so KL(q(z|x) || p(z)) = -log p(codes). ``val/loss`` is the negative
    ELBO in both phases: the first ends with the uniform prior's positions * codebooks * log(size)
    nats in it, the second brings them down, so that the best checkpoint has a trained prior.

    Args:
        architecture: makes the encoder to feature maps, and the decoder.
        codebook: size and number of the codebooks, how they are kept in use, the commitment.
        prior: learns the distribution of the codes.
        autoencoder_epochs: epochs of the first phase, at least 1.
        parts: of both phases; CosineAnnealingWarmRestarts with ``T_0`` = ``autoencoder_epochs``
            starts each at the full learning rate.
    """

    leaves_gradients_out: ClassVar[bool] = True
    logs: ClassVar[dict[str, Quantity]] = {
        "commitment": Quantity(NATS, weight=1.0),
        "perplexity": Quantity("codes"),
        "code_use": Quantity(),
    }

    def __init__(
        self,
        image_shape: ImageShape,
        architecture: SpatialArchitecture = SpatialResidual(),  # noqa: B008  (frozen)
        codebook: Codebook = Codebook(),  # noqa: B008  (frozen)
        prior: Autoregressive = Autoregressive(),  # noqa: B008  (copied)
        autoencoder_epochs: int = 10,
        **parts: Unpack[AutoencoderParts],
    ) -> None:
        remedy = "Set it to about half of trainer.max_epochs."
        check_number("model.autoencoder_epochs", autoencoder_epochs, 1, remedy)
        if not isinstance(prior, Autoregressive):
            raise UserError(f"the prior of VQVAE is Autoregressive(), got {prior!r:.60}.")
        encoder = architecture.encoder(image_shape, codebook.dim)
        decoder = partial(architecture.decoder, image_shape, codebook.dim)
        super().__init__(image_shape, encoder, decoder, **parts)
        height, width = architecture.map_size(image_shape)
        self.latent_shape = (codebook.dim, height, width)
        self.quantizer = codebook.quantizer()
        self.code_shape = (height * width, codebook.count)
        self.prior = prior.of(self)
        self.autoencoder_epochs = autoencoder_epochs
        self.commitment_weight = codebook.commitment

    @property
    def codebook_size(self) -> int:
        """How many codes each codebook has."""
        return self.quantizer.size

    def quantize(self, images: Images) -> CodeIndices:
        """The index of the code of each position of the latent map, row by row."""
        return self.quantizer.nearest(self.encoder(images)).flatten(1, 2)

    def encode(self, images: Images) -> Codes:
        """The quantised latent map [N, D, h, w] of each image, flattened to [N, D * h * w]."""
        return self._lookup(self.quantize(images)).flatten(1)

    def decode(self, codes: Codes) -> Images:
        """Images [N, C, H, W] of codes [N, D * h * w].

        Each position is first moved to the nearest entry of the codebooks, since the decoder has
        seen no other: what ``encode`` gave stays as it is, a mixture of two codes does not.
        """
        latent = codes.view(codes.shape[0], *self.latent_shape)
        return self._decode(self.quantizer.lookup(self.quantizer.nearest(latent)))

    def sample(self, n: int, *, temperature: float = 1.0) -> Images:
        """``n`` images decoded from draws of the prior: uniform ones before its training."""
        check_temperature(temperature)
        return self._decode(self._lookup(self.prior.sample(n, temperature)))

    def sample_uniformly(self, n: int) -> Images:
        """``n`` images decoded from codes that are all equally probable, for comparison."""
        shape = n, *self.code_shape
        codes = torch.randint(self.codebook_size, shape, device=self.device)
        return self._decode(self._lookup(codes))

    def log_weights(self, images: Images, num_samples: int) -> LogWeights:
        """Log p(x, z) of the one code z that an image has, ``num_samples`` times, in nats."""
        codes = self.quantize(images)
        log_likelihood = self.log_likelihood(images, self._lookup(codes))
        return (log_likelihood + self.prior.log_prob(codes)).expand(num_samples, -1)

    def terms(self, batch: Batch, inputs: Images, training_step: int | None = None) -> Terms:
        """The negative ELBO in evaluation; in training the loss of the present phase."""
        training = training_step is not None
        if training and self.current_epoch >= self.autoencoder_epochs:
            return self._prior_terms(batch.images)
        features = self.encoder(inputs).float()
        indices = self.quantizer.nearest(features)
        quantised = self.quantizer.lookup(indices)
        if training:
            self.quantizer.update(features, indices)
        latent = straight_through(features, quantised)
        reconstruction = -self.log_likelihood(batch.images, latent).mean()
        if not training:
            kl = -self.prior.log_prob(indices.flatten(1, 2)).mean()
            return {"loss": reconstruction + kl, "reconstruction": reconstruction, "kl": kl}
        kl = torch.full_like(reconstruction, indices[0].numel() * math.log(self.codebook_size))
        distance = self.commitment_weight * commitment(features, quantised).mean()
        used = self.quantizer.use(indices)
        return {
            "loss": reconstruction + kl + distance,
            "reconstruction": reconstruction,
            "kl": kl,
            "commitment": distance,
            "perplexity": perplexity(used).mean(),  # over the codebooks
            "code_use": code_use(used).mean(),
        }

    def _prior_terms(self, images: Images) -> Terms:
        for part in (self.encoder, self.decoder):
            part.eval()  # a normalisation's running averages are frozen too
        with torch.no_grad():
            codes = self.quantize(images)
        kl = -self.prior.log_prob(codes).mean()
        return {"loss": kl, "kl": kl}

    def _decode(self, latent: Maps) -> Images:
        return self.likelihood.image(self.decoder(latent))

    def _lookup(self, codes: CodeIndices) -> Maps:
        return self.quantizer.lookup(codes.view(codes.shape[0], *self.latent_shape[1:], -1))
