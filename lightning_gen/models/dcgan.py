"""Generative adversarial networks."""

from collections.abc import Iterable
from functools import partial
from typing import Any, ClassVar, NamedTuple, cast

import torch
from jaxtyping import Float
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor, nn
from torch.optim import Adam
from torch.optim.lr_scheduler import ReduceLROnPlateau

from lightning_gen.contracts import Batch, Codes, Images, ImageShape
from lightning_gen.errors import UserError
from lightning_gen.models.base import check_range, log_means
from lightning_gen.models.encoder_decoder import check_latent_dim
from lightning_gen.models.manual import OptimizesByHand, check_clip_norm, update
from lightning_gen.models.optimizers import OptimizerFactory, SchedulerFactory, SharedFactory
from lightning_gen.networks import AdversarialNetworks, DCGANNetworks
from lightning_gen.noise import normal_like
from lightning_gen.objectives import Adversarial, NonSaturating, Penalty


class PaperAdam(Adam):
    """Adam with the learning rate and the first beta of Radford et al. 2016."""

    def __init__(
        self, params: Iterable[Any], lr: float = 2e-4, betas: tuple[float, float] = (0.5, 0.999)
    ) -> None:
        super().__init__(params, lr, betas)


class DiscriminatorTerms(NamedTuple):
    """Means over a batch; the scores are the discriminator's raw output, high for real images."""

    discriminator_loss: Float[Tensor, ""]
    real_score: Float[Tensor, ""]
    fake_score: Float[Tensor, ""]
    penalty: Float[Tensor, ""] | None = None

    @property
    def loss(self) -> Tensor:
        """What the discriminator minimises."""
        if self.penalty is None:
            return self.discriminator_loss
        return self.discriminator_loss + self.penalty


class GeneratorTerms(NamedTuple):
    """Mean over a batch."""

    generator_loss: Float[Tensor, ""]

    @property
    def loss(self) -> Tensor:
        """What the generator minimises."""
        return self.generator_loss


class DCGAN(OptimizesByHand):
    """Deep convolutional GAN (Radford, Metz & Chintala 2016, arXiv:1511.06434).

    Each batch updates the discriminator on real images and on as many new ones; then, on every
    ``discriminator_steps``-th batch, the generator on noise of its own (Goodfellow et al. 2014,
    algorithm 1). ``trainer.global_step`` counts batches.

    A GAN has no loss that tells how good it is: ``best.ckpt`` is the latest. Validation and test
    log the terms of held-out images, without the penalty, for which gradients are needed.

    ``sample`` and ``decode`` leave the mode as it is: in evaluation mode, where pictures are drawn
    too, BatchNorm uses its running statistics, so that an image depends on its own noise alone.

    Attributes:
        monitor: the metric that picks the best checkpoint; None keeps the latest.

    Args:
        image_shape: (channels, height, width); the command line takes it from the data.
        latent_dim: length of the noise.
        architecture: makes the generator and the discriminator.
        objective: the two losses.
        penalty: on the discriminator's gradient; it needs a discriminator without BatchNorm.
        discriminator_steps: batches, and discriminator updates, to one update of the generator.
        optimizer: builds the generator's optimizer from its parameters.
        discriminator_optimizer: the discriminator's; None takes the generator's.
        lr_scheduler: builds a scheduler for each of the two, stepped once an epoch.
        clip_norm: greatest norm of the gradient of either network; None clips nothing.
    """

    monitor: ClassVar[str | None] = None

    def __init__(
        self,
        image_shape: ImageShape,
        latent_dim: int = 100,
        architecture: AdversarialNetworks = DCGANNetworks(),  # noqa: B008  (frozen)
        objective: Adversarial = NonSaturating(),  # noqa: B008  (frozen)
        penalty: Penalty | None = None,
        discriminator_steps: int = 1,
        optimizer: OptimizerFactory = PaperAdam,
        discriminator_optimizer: OptimizerFactory | None = None,
        lr_scheduler: SchedulerFactory | None = None,
        clip_norm: float | None = None,
    ) -> None:
        check_latent_dim(latent_dim)
        check_clip_norm(clip_norm)
        _check_steps(discriminator_steps)
        super().__init__()
        self.automatic_optimization = False
        self.image_shape = image_shape
        self.latent_dim = latent_dim
        self.generator = architecture.generator(image_shape, latent_dim)
        self.discriminator = architecture.discriminator(image_shape)
        self.objective = objective
        self.penalty = penalty
        self.discriminator_steps = discriminator_steps
        self.clip_norm = clip_norm
        self._optimizers = (
            SharedFactory(optimizer),
            SharedFactory(discriminator_optimizer or optimizer),
        )
        self._lr_scheduler = lr_scheduler and SharedFactory(lr_scheduler)
        if penalty is not None:
            _check_no_batch_norm(self.discriminator)

    def forward(self, codes: Codes) -> Images:
        """The image of each code."""
        return self.decode(codes)

    def decode(self, codes: Codes) -> Images:
        """Images [N, C, H, W] of noise [N, D]."""
        return self.generator(codes)  # type: ignore[no-any-return]

    def sample_codes(self, n: int) -> Codes:
        """``n`` draws [N, D] of the noise."""
        return torch.randn(n, self.latent_dim, device=self.device).to(self.dtype)

    def sample(self, n: int) -> Images:
        """``n`` new images."""
        return self.decode(self.sample_codes(n))

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Update the discriminator and, where it is due, the generator; the sum of their losses."""
        images, step = batch.images, self.global_step
        if batch_idx == 0:
            check_range(images)
        due = self._generator_is_due
        generator, discriminator = cast(list[LightningOptimizer], self.optimizers())
        judge = partial(self._discriminator_terms, images, self.penalty)
        judged = update(self, discriminator, judge, counted=not due)
        values, loss = judged._asdict(), judged.loss.detach()
        if due:
            create = partial(self._generator_terms, len(images))
            created = update(self, generator, create, counted=True)
            values, loss = values | created._asdict(), loss + created.loss.detach()
        every: int = self.trainer.log_every_n_steps  # type: ignore[attr-defined]
        if every and (step + 1) % every == 0:
            self._log_terms("train", values, len(images))
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Log the terms of held-out images as means over the split."""
        self._evaluate("val", batch.images, batch_idx)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Log the terms of held-out images as means over the split."""
        self._evaluate("test", batch.images, batch_idx)

    def configure_optimizers(self) -> Any:  # noqa: ANN401  (Lightning's union of eight forms)
        """The generator's optimizer and the discriminator's, and a scheduler of each."""
        networks = self.generator, self.discriminator
        pairs = zip(self._optimizers, networks, strict=True)
        optimizers = [build(network.parameters()) for build, network in pairs]
        if self._lr_scheduler is None:
            return optimizers
        schedulers = [self._lr_scheduler(optimizer) for optimizer in optimizers]
        if any(isinstance(scheduler, ReduceLROnPlateau) for scheduler in schedulers):
            raise UserError(
                "ReduceLROnPlateau waits for a loss that tells how good the model is, and a GAN "
                "has none. Set model.lr_scheduler to one that counts epochs, such as ExponentialLR."
            )
        return optimizers, schedulers

    @property
    def _generator_is_due(self) -> bool:
        return (self.global_step + 1) % self.discriminator_steps == 0

    def _discriminator_terms(self, images: Images, penalty: Penalty | None) -> DiscriminatorTerms:
        with torch.no_grad():
            fake = self.decode(self._noise(len(images)))
        real_scores, fake_scores = self.discriminator(images), self.discriminator(fake)
        return DiscriminatorTerms(
            self.objective.discriminator(real_scores, fake_scores),
            real_scores.float().mean(),
            fake_scores.float().mean(),
            None if penalty is None else penalty(self.discriminator, images, fake),
        )

    def _generator_terms(self, count: int) -> GeneratorTerms:
        scores = self.discriminator(self.decode(self._noise(count)))
        return GeneratorTerms(self.objective.generator(scores))

    def _noise(self, count: int) -> Codes:
        return normal_like(torch.empty(count, self.latent_dim, device=self.device))

    def _evaluate(self, stage: str, images: Images, batch_idx: int) -> None:
        if batch_idx == 0:
            check_range(images)
        terms = self._discriminator_terms(images, None), self._generator_terms(len(images))
        self._log_terms(stage, terms[0]._asdict() | terms[1]._asdict(), len(images))

    def _log_terms(self, stage: str, terms: dict[str, Tensor | None], batch_size: int) -> None:
        values = {f"{stage}/{k}": v for k, v in terms.items() if v is not None}
        log_means(self, values, batch_size, evaluating=stage != "train")


def _check_steps(discriminator_steps: int) -> None:
    if discriminator_steps < 1:
        raise UserError(
            "discriminator_steps is the number of batches to one update of the generator, at least "
            f"1, got {discriminator_steps}. Set model.discriminator_steps to 1, or 5 for a critic."
        )


def _check_no_batch_norm(discriminator: nn.Module) -> None:
    kinds = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d | nn.SyncBatchNorm
    if any(isinstance(module, kinds) for module in discriminator.modules()):
        raise UserError(
            "a penalty needs the gradient of each image's own score, and BatchNorm in the "
            "discriminator mixes the images of a batch. Set model.architecture.norm_discriminator "
            "to false, or leave model.penalty out."
        )
