"""What every callback that scores a model shares."""

import math
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sized
from dataclasses import dataclass, field
from time import perf_counter
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor

from lightning_gen.callbacks.drawing import Watching, evaluation_mode
from lightning_gen.contracts import Batch
from lightning_gen.errors import check_number
from lightning_gen.metrics import Estimate
from lightning_gen.quantities import Quantity


@dataclass(frozen=True)
class Card:
    """A score and what a reader must know to compare it.

    Attributes:
        value: the score.
        standard_error: of the value, by how much it differs with other images of the same kind;
            nan where none is known whose 95 % interval would hold.
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


class Score(NamedTuple):
    """What a callback says of a score: the rest of its card is the same for all."""

    estimate: Estimate
    unit: str = "none"
    details: Mapping[str, Any] = MappingProxyType({})


Scores = Iterator[tuple[str, Score]]
"""Scores under their names."""


class Evaluation(Watching):
    """Scores the model in ``validate`` and ``test``, and in the test that ends a ``fit``.

    The validations during training are left alone. Each score is logged as ``test/<name>`` or
    ``val/<name>``, and kept as a card in ``cards``, which the command line writes into the run's
    ``metrics.json``. The same seed gives the same scores; scoring changes no random state.

    Attributes:
        cards: the cards of the latest evaluation, by the names of the scores.

    Args:
        num_images: how many images of the split are used: at positions spread evenly over all of
            it, since a split may be sorted by class.
        seed: of everything random.
    """

    def __init__(self, num_images: int = 10_000, seed: int = 0) -> None:
        check_number(f"{type(self).__name__}.num_images", num_images, 2)
        self.num_images = num_images
        self.seed = seed
        self.cards: dict[str, Card] = {}

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Raise a UserError when the model lacks what is scored, and will not get a prior."""
        if not (stage == "fit" and getattr(trainer, "fits_prior", False)):
            super().setup(trainer, pl_module, stage)

    @abstractmethod
    def begin(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget an earlier evaluation."""

    @abstractmethod
    def see(self, pl_module: LightningModule, batch: Batch) -> None:
        """Take in a batch; the model is in evaluation mode, without gradients."""

    @abstractmethod
    def finish(self, trainer: Trainer, pl_module: LightningModule) -> Mapping[str, Score] | Scores:
        """The scores by name, the same on all ranks, which call this at once."""

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Share the images out among the ranks."""
        rehearsal = trainer.state.fn == TrainerFn.FITTING or trainer.fast_dev_run  # type: ignore[attr-defined]
        self._wanted = 0 if rehearsal else max(1, share(self.num_images, trainer))
        self._passed, self._seen, self._seconds = 0, 0, 0.0
        if self._wanted:
            self.begin(trainer, pl_module)

    def look(self, trainer: Trainer, pl_module: LightningModule, batch: Batch, index: int) -> None:
        """Take in the images of the batch whose turn it is."""
        if not self._wanted:
            return
        start = perf_counter()
        size = len(batch.images)
        if index == 0:
            self._there = images_there(trainer, size)
        chosen = spread(self._passed, size, self._wanted, self._there)
        self._passed += size
        if len(chosen) == 0:
            return
        batch = Batch(*(part[chosen.to(part.device)] for part in batch))
        self._seen += len(chosen)
        with evaluation_mode(trainer, pl_module):
            self._draw_from(trainer, index)
            self.see(pl_module, batch)
        self._seconds += perf_counter() - start

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Score, log, keep the cards."""
        if not self._wanted:
            return
        start = perf_counter()
        with evaluation_mode(trainer, pl_module):
            self._draw_from(trainer, -1)
            scores = dict(self.finish(trainer, pl_module))
            count = torch.tensor(self._seen, device=pl_module.device)
            seen = int(trainer.strategy.reduce(count, reduce_op="sum"))
        seconds = round(self._seconds + perf_counter() - start, 3)
        split = "test" if trainer.testing else "val"
        self.cards = {
            name: Card(float(value), float(error), unit, seen, split, self.seed, seconds, {**more})
            for name, ((value, error), unit, more) in scores.items()
        }
        values = {f"{split}/{name}": card.value for name, card in self.cards.items()}
        pl_module.log_dict(values, sync_dist=True)  # equal on all ranks; else Lightning warns

    on_test_epoch_start = on_validation_epoch_start
    on_test_batch_end = Watching.on_validation_batch_end
    on_test_epoch_end = on_validation_epoch_end

    @property
    def quantities(self) -> dict[str, Quantity]:
        """What the scores are."""
        units = {name: card.unit for name, card in self.cards.items()}
        return {name: Quantity("" if unit == "none" else unit) for name, unit in units.items()}

    def _draw_from(self, trainer: Trainer, batch_idx: int) -> None:
        """Other numbers on every rank and in every batch, the same in every evaluation."""
        number = (self.seed * 1_000_003 + batch_idx + 1) * trainer.world_size + trainer.global_rank
        torch.manual_seed(number)


def training_batches(trainer: Trainer, *, ordered: bool) -> Iterator[Batch]:
    """The training images, where the model is; none where they are to be ordered and are not."""
    data: Any = trainer.datamodule  # type: ignore[attr-defined]
    if hasattr(data, "in_order"):
        loader = data.in_order("train")
    else:
        loader = () if ordered else data.train_dataloader()
    for batch in loader:
        yield trainer.strategy.batch_to_device(batch)


def share(count: int, trainer: Trainer) -> int:
    """This process's part of a count that the processes share out."""
    return count // trainer.world_size + (trainer.global_rank < count % trainer.world_size)


def images_there(trainer: Trainer, batch_size: int) -> int:
    """How many images this process will be shown; 0 where that cannot be known."""
    loaders = trainer.test_dataloaders if trainer.testing else trainer.val_dataloaders
    counts = trainer.num_test_batches if trainer.testing else trainer.num_val_batches
    loader = loaders[0] if isinstance(loaders, list | tuple) else loaders
    count = counts[0] if isinstance(counts, list) else counts
    shown = count * batch_size if math.isfinite(count) else 0
    images = getattr(loader, "num_images", None)  # of the whole split
    dataset = getattr(loader, "dataset", None)
    if images is None and getattr(loader, "batch_size", None) and isinstance(dataset, Sized):
        images = len(dataset)
    return int(shown if images is None else min(shown, share(images, trainer)))


def spread(first: int, size: int, wanted: int, there: int) -> Tensor:
    """Which of ``size`` images that begin at position ``first`` are among ``wanted`` of ``there``.

    Of the positions p = 0, 1, ... below ``there`` those at which p wanted / there reaches the next
    whole number: exactly ``wanted`` of them, evenly spread. All, where no more are there.
    """
    positions = torch.arange(first, first + size)
    if there <= wanted:
        return (positions[positions < wanted]) - first
    steps = positions * wanted // there
    return (steps < (positions + 1) * wanted // there).nonzero()[:, 0]


def home(pl_module: LightningModule) -> torch.device:
    """Where metrics are held: the model's device, unless it lacks float64."""
    device = pl_module.device
    return torch.device("cpu") if device.type == "mps" else device
