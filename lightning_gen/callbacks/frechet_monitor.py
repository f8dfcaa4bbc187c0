"""How near samples are to validation images, at the end of every validation."""

from typing import cast

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor

from lightning_gen.callbacks.drawing import Watching, evaluation_mode
from lightning_gen.callbacks.evaluation import home, share
from lightning_gen.contracts import Batch, SamplesImages, info_of
from lightning_gen.errors import check_number
from lightning_gen.features import Extractor
from lightning_gen.metrics.generation import FrechetDistance
from lightning_gen.quantities import Quantity

BATCH = 500


class FrechetMonitor(Watching):
    """Logs ``val/frechet_distance[E]`` in every validation of a training, E being the extractor.

    The checkpoint with the least one becomes ``best.ckpt`` where the model has no loss that tells
    how good it is, as a GAN. It is the distance of a few samples of the same noise each time from
    as many of the first validation images, higher than that of all images is: it tells the epochs
    of a run apart, and compares with no other number. 1,000 samples and images of 28x28 take a
    second of one CPU core, beside the drawing; several devices share the images out.

    Args:
        extractor: from images to features.
        num_images: samples, and at most how many validation images.
        seed: of the noise.
    """

    requires = (SamplesImages,)

    def __init__(self, extractor: Extractor, num_images: int = 1000, seed: int = 0) -> None:
        check_number("FrechetMonitor.num_images", num_images, 2)
        self.extractor = extractor
        self.num_images = num_images
        self.seed = seed
        self._features: list[Tensor] = []

    @property
    def monitored(self) -> str:
        """The name of what is logged, without its stage."""
        return self.extractor.score_name("frechet_distance")

    @property
    def quantities(self) -> dict[str, Quantity]:
        """What is logged."""
        unit = f"squared feature units, {self.num_images:,} samples"
        return {self.monitored: Quantity(unit, "lower", shown=True)}

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Raise a UserError when the model draws nothing, or the extractor knows no such images."""
        super().setup(trainer, pl_module, stage)
        info = info_of(trainer.datamodule)  # type: ignore[attr-defined]
        if info is not None:
            self.extractor.cpu()(torch.zeros(1, *info.image_shape))

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget the images of the last validation."""
        self._features = []

    def look(self, trainer: Trainer, pl_module: LightningModule, batch: Batch, index: int) -> None:
        """Keep the features of the first images."""
        left = share(self.num_images, trainer) - sum(map(len, self._features))
        if left > 0 and _measures(trainer):
            self.extractor.to(pl_module.device)
            self._features.append(self.extractor(batch.first(left).images))

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw samples, and log their distance."""
        if not _measures(trainer):
            return
        distance = FrechetDistance(self.extractor.feature_dim, groups=0).to(home(pl_module))
        real = torch.cat(self._features)
        real = real.expand(2, -1) if len(real) == 1 else real  # of which the covariance is 0
        distance.update(real.to(distance.device), real=True)
        with evaluation_mode(trainer, pl_module):
            torch.manual_seed(self.seed)
            for start in range(0, self.num_images, BATCH):
                count = min(BATCH, self.num_images - start)
                images = cast(SamplesImages, pl_module).sample(count)
                images = images[trainer.global_rank :: trainer.world_size]
                distance.update(self.extractor(images).to(distance.device), real=False)
        value = distance.compute().value.to(pl_module.device, torch.float32)
        pl_module.log(f"val/{self.monitored}", value, sync_dist=True, prog_bar=True)


def _measures(trainer: Trainer) -> bool:
    """Whether this is a validation of a training."""
    fits = trainer.state.fn == TrainerFn.FITTING and not trainer.sanity_checking
    return fits and not trainer.fast_dev_run  # type: ignore[attr-defined]
