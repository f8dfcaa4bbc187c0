"""The conditional generative adversarial network."""

from typing import Unpack

import torch
from torch import Tensor

from lightning_gen.contracts import Batch, Codes, Images, ImageShape
from lightning_gen.errors import check_number
from lightning_gen.models.conditional import SamplesConditions
from lightning_gen.models.dcgan import ImageGAN, ImageGANParts
from lightning_gen.models.gan import GAN, PlayerTerms, judge
from lightning_gen.networks import AdversarialNetworks, DCGANNetworks
from lightning_gen.networks.condition import (
    ConditionalNetworks,
    ProjectionDiscriminator,
    make_condition,
)


class CGAN(SamplesConditions, ImageGAN, GAN):
    """Conditional GAN (Mirza & Osindero 2014, arXiv:1411.1784; Miyato & Koyama 2018).

    Generator and discriminator are told the class of each image, or some of its attributes: the
    generator beside the noise, the discriminator by projection. A code is [z, y]: the noise, then
    the condition, so that ``decode`` needs nothing else. Real images under another condition are
    shown to the discriminator as generated ones are (Reed et al. 2016, arXiv:1605.05396).

    Args:
        class_names: names of the classes; the command line takes them from the data.
        attributes: names of the factors to condition on; None conditions on the class.
        factors: number of values of each factor, by name; the command line takes it from the data.
        mismatch: weight of the loss on real images under another condition, beside that on
            generated ones; 0 leaves it out.
    """

    discriminator: ProjectionDiscriminator

    def __init__(
        self,
        image_shape: ImageShape,
        class_names: tuple[str, ...],
        attributes: tuple[str, ...] | None = None,
        factors: dict[str, int] | None = None,
        mismatch: float = 1.0,
        architecture: AdversarialNetworks = DCGANNetworks(),  # noqa: B008  (frozen)
        **game: Unpack[ImageGANParts],
    ) -> None:
        check_number("model.mismatch", mismatch, 0, "Set it to 1, or to 0 for none.")
        condition = make_condition(class_names, attributes, factors or {})
        networks = ConditionalNetworks(architecture, len(condition.names))
        super().__init__(image_shape=image_shape, architecture=networks, **game)
        self._condition_on(condition)
        self.mismatch = mismatch

    def condition_on(self, batch: Batch) -> "CGAN":
        """The model itself: it encodes no images."""
        return self

    @property
    def conditioned(self) -> "CGAN":
        """The model itself."""
        return self

    def shared(self, batch: Batch, inputs: Images) -> Batch:
        """The batch, whose conditions new images are drawn from."""
        if self.training:
            self.conditions.add(self.condition.of(batch))
        return batch._replace(images=inputs)

    def _judged(self, seen: Batch, real: Images, fake: Images) -> PlayerTerms:
        if not self.mismatch:
            return super()._judged(seen, real, fake)
        own, features = self.condition.of(seen), self.discriminator.features(real)
        scores = self.discriminator.score_under(own, features)
        mismatched = self.discriminator.score_under(self.condition.others(own), features)
        terms = judge(self.objective, real=scores, fake=self._score(seen, fake))
        loss = terms.loss + self.mismatch * self.objective.discriminator(scores, mismatched)
        return PlayerTerms(loss, terms.values | {"mismatched_score": mismatched.float().mean()})

    def _score(self, seen: Batch, images: Images) -> Tensor:
        return self.discriminator(images, self.condition.of(seen))  # type: ignore[no-any-return]

    def _codes(self, seen: Batch) -> Codes:
        """Noise, and the conditions of the real images."""
        noise = super()._codes(seen)
        return torch.cat([noise, self.condition.of(seen).to(noise)], dim=1)
