"""Says in words what goes wrong between the two players of a GAN, while it happens."""

from collections import defaultdict, deque
from statistics import fmean
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_warn

from lightning_gen.callbacks.drawing import require_for
from lightning_gen.callbacks.sample_diversity import FIRST_STEPS
from lightning_gen.contracts import TrainsDiscriminator

READINGS = 10
"""Logged values of which the mean is looked at."""
WON = 0.98
"""The share of pairs that a discriminator which wins tells apart; its loss is nearly 0, too."""
SMALL, LARGE = 0.05, 20.0
"""A loss that is nearly 0, and a penalty that explodes, to the loss of a discriminator which cannot
tell."""


class Stability(Callback):
    """Warns once of a discriminator that wins and of a penalty that explodes.

    It reads what is logged of a GAN of images every ``trainer.log_every_n_steps`` steps:
    ``train/discriminator_loss``, ``train/discriminator_accuracy``, ``train/penalty``. An objective
    says what its loss is where the discriminator cannot tell (``undecided``); without that, as for
    ``Wasserstein``, nothing is said. Of samples that become all alike ``SampleDiversity`` warns.
    """

    requires = (TrainsDiscriminator,)

    def __init__(self) -> None:
        self._readings: dict[str, deque[float]] = {}
        self._told: set[str] = set()

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Forget an earlier fit; raise a UserError when the model has no discriminator."""
        require_for(self, pl_module)
        self._readings, self._told = defaultdict(lambda: deque(maxlen=READINGS)), set()

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        *rest: Any,  # noqa: ANN401  (Lightning's)
    ) -> None:
        """Read what this step has logged, and look at the mean of the latest readings."""
        every: int = trainer.log_every_n_steps  # type: ignore[attr-defined]
        undecided = getattr(getattr(pl_module, "objective", None), "undecided", None)
        if undecided is None or not every or trainer.global_step % every:
            return
        for name in ("discriminator_loss", "discriminator_accuracy", "penalty"):
            if f"train/{name}" in trainer.callback_metrics:
                self._readings[name].append(float(trainer.callback_metrics[f"train/{name}"]))
        if trainer.global_step < FIRST_STEPS:
            return
        means = {k: fmean(each) for k, each in self._readings.items() if len(each) == READINGS}
        accuracy, loss = means.get("discriminator_accuracy", 0), means.get("discriminator_loss", 0)
        if accuracy >= WON and loss < SMALL * undecided:
            self._say(
                f"The discriminator wins: it tells {accuracy:.1%} of generated images from real "
                f"ones, at a loss of {loss:.3g}, so that the generator learns little from it. Try "
                "model.penalty R1R2, DiffAugment where the training images are few, or a lower "
                "learning rate of model.discriminator_optimizer."
            )
        penalty = means.get("penalty", 0)
        if penalty > LARGE * undecided:
            self._say(
                f"The penalty on the discriminator's gradient explodes: {penalty:.3g} beside a "
                f"loss of {loss:.3g}. Try a lower learning rate, or Adam with betas [0, 0.9]."
            )

    def _say(self, words: str) -> None:
        kind = words.split(":")[0]
        if kind not in self._told:
            self._told.add(kind)
            rank_zero_warn(words)
