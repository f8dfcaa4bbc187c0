"""What every callback that scores a model shares."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, ClassVar

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn

from lightning_gen.callbacks.picture import check_at_least, require_for, untouched
from lightning_gen.contracts import Batch, Needs
from lightning_gen.metrics import Estimate


@dataclass(frozen=True)
class Card:
    """A score and what a reader must know to compare it.

    Attributes:
        value: the score.
        standard_error: of the value, over images; nan where it cannot be said.
        unit: of both.
        num_images: how many images of the split it is over.
        split: "val" or "test".
        seed: of everything random in it.
        seconds: what the callback that gave it took, for all of its scores.
        details: what else belongs to it, such as the extractor of features.
    """

    value: float
    standard_error: float
    unit: str
    num_images: int
    split: str
    seed: int
    seconds: float
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Score:
    """What a callback says of a score: the rest of its card is the same for all."""

    estimate: Estimate
    unit: str = "none"
    details: Mapping[str, Any] = field(default_factory=dict)


class Evaluation(Callback, ABC):
    """Scores the model in ``validate`` and ``test``, and in the test that ends a ``fit``.

    The validations during training are left alone. Each score is logged as ``test/<name>`` or
    ``val/<name>``, and kept as a card in ``cards``, which the command line writes into the run's
    ``metrics.json``. The same seed gives the same scores; scoring changes no random state.

    Attributes:
        requires: the capabilities that the model must have; asked for before training.
        cards: the cards of the latest evaluation, by the names of the scores.

    Args:
        num_images: how many images of the split are used: batches spread evenly over it, since a
            split may be sorted by class.
        seed: of everything random.
    """

    requires: ClassVar[Needs] = ()

    def __init__(self, num_images: int = 10_000, seed: int = 0) -> None:
        check_at_least(2, num_images, f"{type(self).__name__}.num_images")
        self.num_images = num_images
        self.seed = seed
        self.cards: dict[str, Card] = {}
        self._missing = 0
        self._seen = 0
        self._seconds = 0.0
        self._stride = 1

    @abstractmethod
    def begin(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget an earlier evaluation."""

    @abstractmethod
    def see(self, pl_module: LightningModule, batch: Batch) -> None:
        """Take in a batch; the model is in evaluation mode, without gradients."""

    @abstractmethod
    def finish(self, trainer: Trainer, pl_module: LightningModule) -> Mapping[str, Score]:
        """The scores, the same on all ranks, which call this at once."""

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Raise a UserError when the model lacks what is scored."""
        require_for(self, pl_module)

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Share the images out among the ranks."""
        rehearsal = trainer.state.fn == TrainerFn.FITTING or trainer.fast_dev_run  # type: ignore[attr-defined]
        self._missing = 0 if rehearsal else -(-self.num_images // trainer.world_size)
        self._seen, self._seconds = 0, 0.0
        if self._missing:
            self.begin(trainer, pl_module)

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,  # noqa: ANN401  (Lightning's)
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Take in the batch when its turn comes, while images are missing."""
        if self._seen >= self._missing or dataloader_idx > 0:
            return
        if batch_idx == 0:
            self._stride = stride(trainer, -(-self._missing // len(batch.images)))
        if batch_idx % self._stride > 0:
            return
        start = perf_counter()
        batch = batch.first(self._missing - self._seen)
        self._seen += len(batch.images)
        with untouched(trainer, pl_module):
            self._draw_from(trainer, batch_idx)
            self.see(pl_module, batch)
        self._seconds += perf_counter() - start

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Score, log, keep the cards."""
        if not self._missing:
            return
        start = perf_counter()
        with untouched(trainer, pl_module):
            self._draw_from(trainer, -1)
            scores = self.finish(trainer, pl_module)
            count = torch.tensor(self._seen, device=pl_module.device)
            seen = int(trainer.strategy.reduce(count, reduce_op="sum"))
        seconds = self._seconds + perf_counter() - start
        split = "test" if trainer.testing else "val"
        self.cards = {
            name: self._card(score, split, seen, seconds) for name, score in scores.items()
        }
        values = {f"{split}/{name}": card.value for name, card in self.cards.items()}
        pl_module.log_dict(values, sync_dist=True)  # equal on all ranks; else Lightning warns

    on_test_epoch_start = on_validation_epoch_start
    on_test_batch_end = on_validation_batch_end
    on_test_epoch_end = on_validation_epoch_end

    def _card(self, score: Score, split: str, num_images: int, seconds: float) -> Card:
        value, error = (float(number) for number in score.estimate)
        return Card(
            value, error, score.unit, num_images, split, self.seed, round(seconds, 3), score.details
        )

    def _draw_from(self, trainer: Trainer, batch_idx: int) -> None:
        """Other numbers on every rank and in every batch, the same in every evaluation."""
        number = (self.seed * 1_000_003 + batch_idx + 1) * trainer.world_size + trainer.global_rank
        torch.manual_seed(number)


def stride(trainer: Trainer, wanted: int) -> int:
    """The step from one to the next of ``wanted`` batches that are spread over the split."""
    counts = trainer.num_test_batches if trainer.testing else trainer.num_val_batches
    [count, *_] = counts if isinstance(counts, list) else [counts]
    return max(1, int(count) // wanted) if math.isfinite(count) else 1


def home(pl_module: LightningModule) -> torch.device:
    """Where metrics are held: the model's device, unless it lacks float64."""
    device = pl_module.device
    return torch.device("cpu") if device.type == "mps" else device
