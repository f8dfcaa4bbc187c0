"""New images from the model: drawn, of all kinds or of each class, and how diverse they are."""

from itertools import islice
from typing import Any, ClassVar, cast

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_warn

from lightning_gen import contracts
from lightning_gen.callbacks.picture import Picture, check_at_least, evaluation_mode, require_for
from lightning_gen.contracts import Batch
from lightning_gen.figures.grid import image_grid
from lightning_gen.figures.style import Pixels
from lightning_gen.metrics import mean_pairwise_distance
from lightning_gen.views.view import View

FIRST_STEPS = 500
"""Training steps after which a healthy model's samples differ."""

LOW = 0.3
"""A diversity below it is a collapse."""


class Samples(Picture):
    """Draws new images from the same noise each time, so that pictures of one run are comparable.

    Args:
        num_images: how many images.
        seed: of the noise; it does not touch the random state of training.
    """

    requires: ClassVar[contracts.Needs] = (contracts.Samples,)

    def __init__(self, num_images: int = 64, seed: int = 0, **options: Any) -> None:  # noqa: ANN401
        super().__init__(**options)
        check_at_least(1, num_images, f"{type(self).__name__}.num_images")
        self.num_images = num_images
        self.seed = seed

    def draw(self, trainer: Trainer, pl_module: LightningModule) -> Pixels | View:
        """A square of samples."""
        torch.manual_seed(self.seed)  # the base gives the random state back
        images = cast(contracts.Samples, pl_module).sample(self.num_images)
        return image_grid(images, f"Samples at step {trainer.global_step}")


class ConditionalSamples(Samples):
    """Draws one row a class, or a row for each attribute, with the same noise down each column.

    Args:
        num_images: images in a row.
        max_rows: of many classes the first so many are drawn.
    """

    requires: ClassVar[contracts.Needs] = (contracts.Conditional,)

    def __init__(self, num_images: int = 10, max_rows: int = 10, **options: Any) -> None:  # noqa: ANN401
        super().__init__(num_images, **options)
        check_at_least(1, max_rows, "ConditionalSamples.max_rows")
        self.max_rows = max_rows

    def draw(self, trainer: Trainer, pl_module: LightningModule) -> View:
        """A row for each label."""
        model = cast(contracts.Conditional, pl_module)
        rows = {}
        for name, label in islice(model.examples().items(), self.max_rows):
            torch.manual_seed(self.seed)  # the base gives the random state back
            labels = label.expand(self.num_images, *label.shape)
            rows[name] = model.sample(self.num_images, labels)
        return View(rows, "Samples of each condition")


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

    requires: ClassVar[contracts.Needs] = (contracts.Samples,)

    def __init__(self, num_images: int = 100, seed: int = 0) -> None:
        check_at_least(2, num_images, "SampleDiversity.num_images")
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
            samples = cast(contracts.Samples, pl_module).sample(self.num_images)
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
