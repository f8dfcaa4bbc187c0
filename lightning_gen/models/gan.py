"""What every model of two players is: the step that updates one after the other."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, ClassVar, NamedTuple, TypedDict, cast
from warnings import catch_warnings, filterwarnings

from lightning.pytorch import Callback
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from lightning_gen._compat import uncounted
from lightning_gen.contracts import Batch, Images, Terms
from lightning_gen.errors import UserError, check_number
from lightning_gen.models.encoder_decoder import Parts
from lightning_gen.models.module import Module
from lightning_gen.models.optimizers import OneCycle, OptimizerFactory, SharedFactory
from lightning_gen.objectives import Adversarial
from lightning_gen.quantities import Quantity

JUDGED = (
    *("penalty", "adversarial", "real_score", "fake_score", "discriminator_accuracy"),
    *("mismatched_score", "code_score", "permuted_score", "prior_score"),
)
LOSSES = ("discriminator_loss", "generator_loss")


class GANParts(TypedDict, total=False):
    """What a game passes on to :class:`GAN`."""

    discriminator_steps: int
    discriminator_optimizer: OptimizerFactory | None
    clip_norm: float | None


class CodeGameParts(Parts, GANParts, total=False):
    """What a game on codes passes on to :class:`GAN` and to its family of autoencoders."""


class PlayerTerms(NamedTuple):
    """What a player minimises, and what is logged of it: means over a batch."""

    loss: Tensor
    values: Terms


class GAN(Module, ABC):
    """Two players with an optimizer each (Goodfellow et al. 2014, arXiv:1406.2661, algorithm 1).

    Each batch updates the ``discriminator``, then, on every ``discriminator_steps``-th batch, the
    generator: all other parameters. ``trainer.global_step`` counts batches. A model makes the
    networks and says what each player minimises; a game of an autoencoder has its family as well.

    Args:
        discriminator_steps: batches, and discriminator updates, to one update of the generator.
        discriminator_optimizer: the discriminator's; None takes the generator's.
        clip_norm: greatest norm of the gradient of either player; None clips nothing.
        family: ``optimizer``, the generator's, ``lr_scheduler``, which builds one for each player,
            and what else the family takes.
    """

    monitor: ClassVar[str | None] = None
    discriminator: nn.Module
    leaves_gradients_out: ClassVar[bool] = True
    logs: ClassVar[dict[str, Quantity]] = {
        **dict.fromkeys(LOSSES, Quantity(basis="judge", shown=True)),
        **dict.fromkeys(JUDGED, Quantity(basis="judge")),
    }

    def __init__(
        self,
        discriminator_steps: int = 1,
        discriminator_optimizer: OptimizerFactory | None = None,
        clip_norm: float | None = None,
        **family: Any,  # noqa: ANN401  (the family's)
    ) -> None:
        check_number("model.discriminator_steps", discriminator_steps, 1, "Set it to 1, or 5.")
        if clip_norm is not None:
            check_number("model.clip_norm", clip_norm, 0, "Set it to 1, or to null.", above=True)
        super().__init__(**family)
        self.automatic_optimization = False
        self.discriminator_steps = discriminator_steps
        self.clip_norm = clip_norm
        self._discriminator_optimizer = (
            SharedFactory(discriminator_optimizer) if discriminator_optimizer else self._optimizer
        )

    @abstractmethod
    def discriminator_terms(self, seen: Any, training_step: int | None) -> PlayerTerms:  # noqa: ANN401
        """What the discriminator minimises, and its parts.

        ``seen`` is what ``shared`` gives, and ``training_step`` None in evaluation.
        """

    @abstractmethod
    def generator_terms(self, seen: Any, training_step: int | None) -> PlayerTerms:  # noqa: ANN401
        """What the generator minimises, and its parts; the arguments are the discriminator's."""

    def shared(self, batch: Batch, inputs: Images) -> Any:  # noqa: ANN401  (the model's to say)
        """What both players see of a batch, computed once: the batch, of the ``inputs``."""
        return batch._replace(images=inputs)

    def terms(self, batch: Batch, inputs: Images, training_step: int | None = None) -> Terms:
        """The terms of both players."""
        seen = self.shared(batch, inputs)
        first = self.discriminator_terms(seen, training_step)
        second = self.generator_terms(seen, training_step)
        return first.values | second.values

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Update the discriminator and, where it is due, the generator; the sum of their losses."""
        step = self.global_step
        due = (step + 1) % self.discriminator_steps == 0
        seen = self.shared(batch, self._inputs(batch, batch_idx, training=True))
        generator, discriminator = cast(list[LightningOptimizer], self.optimizers())
        terms = self._update(discriminator, self.discriminator_terms, seen, step, counted=not due)
        loss, values = terms.loss.detach(), terms.values
        if due:
            terms = self._update(generator, self.generator_terms, seen, step, counted=True)
            loss, values = loss + terms.loss.detach(), values | terms.values
        for scheduler in self._schedulers():
            if isinstance(scheduler, OneCycle):
                _step(scheduler)
        self._log_training(step, values, len(batch.images))
        return loss

    def _update(
        self,
        player: LightningOptimizer,
        terms: Callable[..., PlayerTerms],
        *seen: object,
        counted: bool,
    ) -> PlayerTerms:
        """One step of one optimizer, while no parameter of the other one takes a gradient.

        The last one of a batch alone counts in ``trainer.global_step``: so do the loggers' steps.
        """
        with self.toggled_optimizer(player):
            result = terms(*seen)
            player.zero_grad()
            self.manual_backward(result.loss)
            with nullcontext() if counted else uncounted(player):
                player.step()
        return result

    def configure_optimizers(self) -> Any:  # noqa: ANN401  (Lightning's union of eight forms)
        """The generator's optimizer, then the discriminator's; a scheduler for each."""
        others = [p for name, p in self.named_parameters() if name.split(".")[0] != "discriminator"]
        own = self.discriminator.parameters()
        optimizers = [self._optimizer(others), self._discriminator_optimizer(own)]
        if self._lr_scheduler is None:
            return optimizers
        return optimizers, [self._lr_scheduler(optimizer) for optimizer in optimizers]

    def configure_callbacks(self) -> list[Callback]:
        """None; the first hook that knows the trainer refuses what automatic optimisation has."""
        trainer = self.trainer
        if trainer.state.fn == TrainerFn.FITTING:
            if trainer.accumulate_grad_batches != 1:
                raise UserError(
                    "a model with several optimizers takes trainer.accumulate_grad_batches 1, got "
                    f"{trainer.accumulate_grad_batches}. Raise data.batch_size instead."
                )
            if trainer.gradient_clip_val:
                raise UserError(
                    "a model with several optimizers clips by itself, got trainer.gradient_clip_val"
                    f" {trainer.gradient_clip_val}. Set model.clip_norm instead."
                )
        return []

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Clip the gradient, which is unscaled by now."""
        if self.clip_norm is not None:
            self.clip_gradients(optimizer, self.clip_norm, "norm")

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Step the schedulers for an epoch whose end a checkpoint was written before.

        A run that goes on from there comes neither to that end nor to the start of the next epoch.
        """
        for scheduler in self._schedulers():
            if not isinstance(scheduler, ReduceLROnPlateau | OneCycle):
                while getattr(scheduler, "last_epoch", math.inf) < self.current_epoch:
                    _step(scheduler)

    def on_train_epoch_end(self) -> None:
        """Step the schedulers; an epoch that is cut short does not count."""
        if self.trainer.is_last_batch:
            super().on_train_epoch_end()
            for scheduler in self._schedulers():
                if not isinstance(scheduler, ReduceLROnPlateau | OneCycle):
                    _step(scheduler)


def _step(scheduler: LRScheduler) -> None:
    with catch_warnings():
        # Where a run goes on, the first step of the optimizer was in an earlier process; and a
        # critic that is updated several times comes before its generator.
        filterwarnings("ignore", "Detected call of `lr_scheduler.step")
        scheduler.step()


def judge(objective: Adversarial, **scores: Tensor) -> PlayerTerms:
    """A discriminator's loss and mean scores, from those of what is real and of what is not.

    They are raw outputs [N], named in this order, and 0 where it is undecided. Its accuracy is the
    share of pairs of which it scores the real one higher.
    """
    real, fake = scores.values()
    loss = objective.discriminator(real, fake)
    means = {f"{name}_score": each.float().mean() for name, each in scores.items()}
    accuracy = (real > fake).float().mean()
    return PlayerTerms(
        loss, {"discriminator_loss": loss, "discriminator_accuracy": accuracy} | means
    )
