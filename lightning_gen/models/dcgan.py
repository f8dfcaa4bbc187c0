"""The deep convolutional generative adversarial network."""

from collections.abc import Iterable
from functools import partial
from typing import Any, Unpack

import torch
from torch import Tensor, nn
from torch.optim import Adam
from torch.optim.lr_scheduler import ReduceLROnPlateau

from lightning_gen.contracts import Batch, Codes, Images, ImageShape
from lightning_gen.errors import UserError
from lightning_gen.hyperparameters import KeepsArguments
from lightning_gen.models.encoder_decoder import check_latent_dim
from lightning_gen.models.gan import GAN, GANParts, PlayerTerms, judge
from lightning_gen.models.module import SamplesPrior
from lightning_gen.models.optimizers import OptimizerFactory, SchedulerFactory
from lightning_gen.networks import AdversarialNetworks, DCGANNetworks, DiffAugment
from lightning_gen.noise import normal_like
from lightning_gen.objectives import R1R2, Adversarial, NonSaturating, Penalty, Relativistic
from lightning_gen.priors import StandardNormal


class PaperAdam(Adam):
    """Adam with the learning rate and the first beta of Radford et al. 2016."""

    def __init__(
        self, params: Iterable[Any], lr: float = 2e-4, betas: tuple[float, float] = (0.5, 0.999)
    ) -> None:
        super().__init__(params, lr, betas)


class MemorylessAdam(Adam):
    """Adam without a mean of gradients, whose rate small networks stand."""

    def __init__(
        self, params: Iterable[Any], lr: float = 2e-3, betas: tuple[float, float] = (0.0, 0.9)
    ) -> None:
        super().__init__(params, lr, betas)


class ImageGameParts(GANParts, total=False):
    """What a game of images passes on to :class:`~lightning_gen.models.gan.GAN`."""

    lr_scheduler: SchedulerFactory | None


class R3GANParts(ImageGameParts, total=False):
    """What a GAN with an objective of its own passes on to :class:`ImageGAN`."""

    augment: DiffAugment | None


class ImageGANParts(R3GANParts, total=False):
    """What a GAN of images passes on to :class:`ImageGAN`."""

    latent_dim: int
    objective: Adversarial
    penalty: Penalty | None
    optimizer: OptimizerFactory


SMALL = DCGANNetworks((16, 32, 64), norm_discriminator=False)
"""Networks that a CPU trains in minutes."""


class ImageGAN(KeepsArguments, SamplesPrior):
    """A generator of images from noise, and a discriminator that tells them from real ones.

    A family derives from this and, for the step, from :class:`~lightning_gen.models.gan.GAN`. The
    discriminator is updated on real images and as many new ones, the generator on noise of its own;
    with ``augment`` the penalty, too, is of the changed images. A GAN has no loss that tells how
    good it is: ``best.ckpt`` is the latest, or what a ``FrechetMonitor`` finds the nearest.
    Validation and test log the terms of held-out images, without the penalty, for which gradients
    are needed. In evaluation mode BatchNorm uses running statistics: an image depends on its own
    noise alone.

    Args:
        image_shape: (channels, height, width); the command line takes it from the data.
        latent_dim: length of the noise.
        architecture: makes the generator and the discriminator.
        objective: the two losses.
        penalty: on the discriminator's gradient; it needs a discriminator without BatchNorm.
        augment: changes at random what the discriminator is shown in training; for few images.
    """

    def __init__(
        self,
        image_shape: ImageShape,
        latent_dim: int = 100,
        architecture: AdversarialNetworks = DCGANNetworks(),  # noqa: B008  (frozen)
        objective: Adversarial = NonSaturating(),  # noqa: B008  (frozen)
        penalty: Penalty | None = None,
        augment: DiffAugment | None = None,
        optimizer: OptimizerFactory = PaperAdam,
        **game: Unpack[ImageGameParts],
    ) -> None:
        check_latent_dim(latent_dim)
        super().__init__(optimizer=optimizer, **game)
        self.image_shape = image_shape
        self.latent_dim = latent_dim
        self.prior = StandardNormal().of(self)
        self.generator = architecture.generator(image_shape, latent_dim)
        self.discriminator = architecture.discriminator(image_shape)
        self.objective = objective
        self.penalty = penalty
        self.augment = augment
        kinds = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d | nn.SyncBatchNorm
        if penalty and any(isinstance(part, kinds) for part in self.discriminator.modules()):
            raise UserError(
                "a penalty needs the gradient of each image's own score, and BatchNorm in the "
                "discriminator mixes the images of a batch. Set "
                "model.architecture.norm_discriminator to false, or leave model.penalty out."
            )

    def forward(self, codes: Codes) -> Images:
        """The image of each code."""
        return self.decode(codes)

    def decode(self, codes: Codes) -> Images:
        """Images [N, C, H, W] of noise [N, D]."""
        return self.generator(codes)  # type: ignore[no-any-return]

    def discriminator_terms(self, seen: Batch, training_step: int | None) -> PlayerTerms:
        """The objective's loss on real images and on as many new ones, and the penalty."""
        shown = self._changed if training_step is not None else _unchanged
        with torch.no_grad():
            real, fake = shown(seen.images), shown(self.decode(self._codes(seen)))
        terms = self._judged(seen, real, fake)
        if self.penalty is None or training_step is None:
            return terms
        if (training_step + 1) % self.penalty.every:
            return terms
        penalty = self.penalty(partial(self._score, seen), real, fake)
        loss = terms.loss + self.penalty.every * penalty
        return PlayerTerms(loss, terms.values | {"penalty": penalty})

    def generator_terms(self, seen: Batch, training_step: int | None) -> PlayerTerms:
        """The objective's loss on new images, and on real ones where it compares them."""
        shown = self._changed if training_step is not None else _unchanged
        fake = self._score(seen, shown(self.decode(self._codes(seen))))
        real = self._score(seen, shown(seen.images)) if self.objective.compares else None
        loss = self.objective.generator(fake, real)
        return PlayerTerms(loss, {"generator_loss": loss})

    def configure_optimizers(self) -> Any:  # noqa: ANN401  (Lightning's union of eight forms)
        """The generator's optimizer and the discriminator's, and a scheduler of each."""
        configured = super().configure_optimizers()
        if isinstance(configured, tuple) and isinstance(configured[1][0], ReduceLROnPlateau):
            raise UserError(
                "ReduceLROnPlateau waits for a loss that tells how good the model is, and a GAN "
                "has none. Set model.lr_scheduler to one that counts epochs, such as ExponentialLR."
            )
        return configured

    def _judged(self, seen: Batch, real: Images, fake: Images) -> PlayerTerms:
        """The discriminator's loss on what it is shown, and its scores."""
        return judge(self.objective, real=self._score(seen, real), fake=self._score(seen, fake))

    def _score(self, seen: Batch, images: Images) -> Tensor:
        """The score [N] of each image, of which a condition may be known."""
        return self.discriminator(images)  # type: ignore[no-any-return]

    def _codes(self, seen: Batch) -> Codes:
        """Codes [N, D] of new images, as many as there are in the batch."""
        return normal_like(torch.empty(len(seen.images), self.latent_dim, device=self.device))

    def _changed(self, images: Images) -> Images:
        """What the discriminator is shown of images in training."""
        return self.augment(images) if self.augment else images


def _unchanged(images: Images) -> Images:
    return images


class DCGAN(ImageGAN, GAN):
    """Deep convolutional GAN (Radford, Metz & Chintala 2016, arXiv:1511.06434)."""


class R3GAN(ImageGAN, GAN):
    """GAN of a relativistic loss with R1 and R2 (Huang et al. 2024, arXiv:2501.05441).

    It converges where others collapse, without tricks. The networks are DCGAN's, small and without
    BatchNorm in the discriminator: at the same time on a CPU they are better than the paper's
    residual ones. The penalties come in every fourth step.
    """

    def __init__(
        self,
        image_shape: ImageShape,
        latent_dim: int = 64,
        architecture: AdversarialNetworks = SMALL,
        objective: Adversarial = Relativistic(),  # noqa: B008  (frozen)
        penalty: Penalty | None = R1R2(0.5, every=4),  # noqa: B008  (frozen)
        optimizer: OptimizerFactory = MemorylessAdam,
        **game: Unpack[R3GANParts],
    ) -> None:
        super().__init__(
            image_shape=image_shape,
            latent_dim=latent_dim,
            architecture=architecture,
            objective=objective,
            penalty=penalty,
            optimizer=optimizer,
            **game,
        )
