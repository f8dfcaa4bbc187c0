"""An autoencoder that plays against a discriminator of its codes."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from itertools import chain
from typing import Any, NamedTuple, cast

from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor

from lightning_gen.contracts import Batch, Images, Terms
from lightning_gen.models.encoder_decoder import Autoencoder, Parts
from lightning_gen.models.manual import OptimizesByHand, check_clip_norm, update
from lightning_gen.models.optimizers import OptimizerFactory, SharedFactory
from lightning_gen.networks import LatentDiscriminator
from lightning_gen.objectives import NonSaturating


class Moves(NamedTuple):
    """What each player minimises on a batch, from the same codes."""

    discriminator: Callable[[], Terms]
    autoencoder: Callable[[], Terms]


class GameParts(Parts, total=False):
    """What a game on codes passes on to :class:`LatentGame` and to its family."""

    discriminator_optimizer: OptimizerFactory | None
    clip_norm: float | None


class LatentGame(OptimizesByHand, Autoencoder, ABC):
    """At each batch the discriminator is updated first, then encoder and decoder.

    A model derives from this and from its family.

    Args:
        discriminator: makes the discriminator of codes.
        discriminator_optimizer: the discriminator's; None takes that of encoder and decoder.
        clip_norm: greatest norm of the gradient of either update; None clips nothing.
        family: for the family's constructor; its ``optimizer`` is that of encoder and decoder, its
            ``lr_scheduler`` builds a scheduler for each of the two.
    """

    latent_dim: int

    def __init__(
        self,
        discriminator: LatentDiscriminator,
        discriminator_optimizer: OptimizerFactory | None = None,
        clip_norm: float | None = None,
        **family: Any,  # noqa: ANN401  (the family's)
    ) -> None:
        check_clip_norm(clip_norm)
        super().__init__(**family)
        self.automatic_optimization = False
        self.discriminator = discriminator.network(self.latent_dim)
        self.clip_norm = clip_norm
        self._discriminator_optimizer = (
            SharedFactory(discriminator_optimizer) if discriminator_optimizer else self._optimizer
        )
        self._adversarial = NonSaturating()

    @abstractmethod
    def moves(self, batch: Batch, inputs: Images, training_step: int | None) -> Moves:
        """The two losses; the discriminator's codes carry no gradient.

        ``training_step`` is the number of training steps done, None in evaluation.
        """

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Update the discriminator, then encoder and decoder; the sum of their losses."""
        step = self.global_step
        moves = self.moves(batch, self._inputs(batch, batch_idx, training=True), step)
        autoencoder, discriminator = cast(list[LightningOptimizer], self.optimizers())
        judged = update(self, discriminator, moves.discriminator, counted=False)
        coded = update(self, autoencoder, moves.autoencoder, counted=True)
        every: int = self.trainer.log_every_n_steps  # type: ignore[attr-defined]
        if every and (step + 1) % every == 0:
            self._log_terms("train", coded, len(batch.images))
            self._log_terms("train", judged, len(batch.images))
        return judged.loss.detach() + coded.loss.detach()

    def configure_optimizers(self) -> Any:  # noqa: ANN401  (Lightning's union of eight forms)
        """The optimizer of encoder and decoder, then the discriminator's; a scheduler for each."""
        parts = (self.encoder, self.decoder, self.likelihood)
        optimizers = [
            self._optimizer(chain.from_iterable(part.parameters() for part in parts)),
            self._discriminator_optimizer(self.discriminator.parameters()),
        ]
        if self._lr_scheduler is None:
            return optimizers
        return optimizers, [self._lr_scheduler(optimizer) for optimizer in optimizers]
