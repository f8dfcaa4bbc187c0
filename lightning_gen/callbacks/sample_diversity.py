"""How diverse the samples of a model are."""

from typing import ClassVar, cast

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_warn

from lightning_gen.callbacks.drawing import evaluation_mode, require_for
from lightning_gen.contracts import Batch, SamplesImages
from lightning_gen.errors import check_number
from lightning_gen.metrics import mean_pairwise_distance
from lightning_gen.quantities import Quantity

FIRST_STEPS = 500
"""Training steps after which a healthy model's samples differ."""

LOW = 0.3
"""A diversity below it is a collapse."""


class SampleDiversity(Callback):
    """Measures samples at the end of each epoch, and warns once when they have collapsed.

    Logs ``samples/diversity``: the mean distance between two samples, over that between two real
    images, both Euclidean in pixels. 1 is as diverse as the data. A low value shows a collapse; a
    high one shows none, for noise is diverse too. The samples are of the same noise each time, and
    measuring changes nothing in training.

    Args:
        num_images: how many samples, and at most how many images of the first validation batch, or
            where no validation has run of the first training batch.
        seed: of the noise.
    """

    requires = (SamplesImages,)
    quantities: ClassVar[dict[str, Quantity]] = {"samples/diversity": Quantity(shown=True)}

    def __init__(self, num_images: int = 100, seed: int = 0) -> None:
        check_number("SampleDiversity.num_images", num_images, 2)
        self.num_images = num_images
        self.seed = seed
        self._real: dict[str, float] = {}
        self._warned = False

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Forget an earlier fit; raise a UserError when the model makes no images."""
        require_for(self, pl_module)
        self._real, self._warned = {}, False

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, _: object, batch: Batch, *rest: object
    ) -> None:
        """Measure the first training images."""
        self._measure("training", batch)

    def on_validation_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, _: object, batch: Batch, *rest: object
    ) -> None:
        """Measure the first validation images."""
        self._measure("validation", batch)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Measure samples; log, and warn of a collapse."""
        real = self._real.get("validation", self._real.get("training", 0.0))
        if trainer.fast_dev_run or not real > 0:  # type: ignore[attr-defined]
            return
        with evaluation_mode(trainer, pl_module):
            torch.manual_seed(self.seed)
            samples = cast(SamplesImages, pl_module).sample(self.num_images)
        diversity = float(mean_pairwise_distance(samples)) / real
        pl_module.log("samples/diversity", diversity, sync_dist=True)
        if diversity < LOW and trainer.global_step >= FIRST_STEPS and not self._warned:
            self._warned = True
            rank_zero_warn(
                f"The samples have collapsed: they differ from each other {diversity:.2f} times as "
                "much as real images do, so the model draws nearly the same image from any noise. "
                "Try a penalty on the discriminator, a lower learning rate or another seed."
            )

    def _measure(self, split: str, batch: Batch) -> None:
        if split not in self._real:
            self._real[split] = float(mean_pairwise_distance(batch.first(self.num_images).images))
