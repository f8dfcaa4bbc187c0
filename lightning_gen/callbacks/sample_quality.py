"""How near a model's samples are to real images, in the features of a network."""

from typing import Any, cast

import torch
from lightning.pytorch import LightningModule, Trainer

from lightning_gen.callbacks.evaluation import Evaluation, Score, Scores, home
from lightning_gen.contracts import Batch, Reconstructs, SamplesImages, able, condition_on, info_of
from lightning_gen.features import Extractor
from lightning_gen.metrics.estimate import GROUPS, Estimate
from lightning_gen.metrics.generation import (
    DensityCoverage,
    FrechetDistance,
    KernelDistance,
    PrecisionRecall,
)
from lightning_gen.progress import progress

BATCH = 500
WIDE = 512
"""Above so many features the Frechet distance has no standard error: it would take gigabytes."""


class SampleQuality(Evaluation):
    """Scores samples against the images of the split, in the features of ``extractor``.

    With E the extractor's name: ``frechet_distance[E]``, ``kernel_distance[E]``, ``precision[E]``,
    ``recall[E]``, ``density[E]``, ``coverage[E]``; ``fid`` and ``kid`` are those of Inception
    alone. A model that reconstructs also has ``reconstruction_frechet_distance[E]`` and the gap
    ``frechet_distance_gap[E]``, by which samples are worse than reconstructions: what the prior
    costs. As many samples are drawn as there are images. Scores depend on the number of images and
    compare at one number only; their standard errors are over other real images as well as other
    samples.

    10,000 images of 28x28 against 10,000 take under a minute of one CPU core, Inception a second of
    a GPU or half an hour of a CPU for the features.

    Args:
        extractor: from images to features.
    """

    requires = (SamplesImages,)

    def __init__(self, extractor: Extractor, **options: Any) -> None:  # noqa: ANN401
        super().__init__(**options)
        self.extractor = extractor

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Raise a UserError when the model draws nothing, or the extractor knows no such images."""
        super().setup(trainer, pl_module, stage)
        info = info_of(trainer.datamodule)  # type: ignore[attr-defined]
        if info is not None:
            self.extractor.cpu()(torch.zeros(1, *info.image_shape))

    def begin(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget the features."""
        self.extractor.to(pl_module.device)
        dim = self.extractor.feature_dim
        groups = GROUPS if dim <= WIDE else 0
        self._frechet = FrechetDistance(dim, groups)
        self._of_reconstructions = FrechetDistance(dim, groups, paired=True)
        self._kernel = KernelDistance()
        self._ranges = PrecisionRecall()
        self._balls = DensityCoverage()
        self._of_samples = (self._frechet, self._kernel, self._ranges, self._balls)
        for metric in (*self._of_samples, self._of_reconstructions):
            metric.to(home(pl_module))

    def see(self, pl_module: LightningModule, batch: Batch) -> None:
        """Features of real images, and of their reconstructions."""
        features = self.extractor(batch.images)
        for metric in (*self._of_samples, self._of_reconstructions):
            metric.update(features.to(metric.device), real=True)
        if able(pl_module, (Reconstructs,)):
            again = self.extractor(condition_on(pl_module, batch).reconstruct(batch.images))
            self._of_reconstructions.update(again.to(self._of_reconstructions.device), real=False)

    def finish(self, trainer: Trainer, pl_module: LightningModule) -> Scores:
        """Draw samples; the scores of their features."""
        model = cast(SamplesImages, pl_module)
        with progress(self._seen, "samples") as bar:
            for start in range(0, self._seen, BATCH):
                count = min(BATCH, self._seen - start)
                features = self.extractor(model.sample(count))
                for metric in self._of_samples:
                    metric.update(features.to(metric.device), real=False)
                bar.update(count)
        name = self.extractor.score_name
        squared = "squared feature units"
        distance = self._frechet.compute()
        yield name("frechet_distance"), self._score(distance, squared)
        yield name("kernel_distance"), self._score(self._kernel.compute(), "none")
        found = {**self._ranges.compute()._asdict(), **self._balls.compute()._asdict()}
        for key, estimate in found.items():
            yield name(key), self._score(estimate, "none")
        if able(pl_module, (Reconstructs,)):
            other = self._of_reconstructions.compute()
            gap = self._frechet.gap(self._of_reconstructions)
            yield name("reconstruction_frechet_distance"), self._score(other, squared)
            yield name("frechet_distance_gap"), self._score(gap, squared)

    def _score(self, estimate: Estimate, unit: str) -> Score:
        card = {name: getattr(self.extractor, name) for name in ("name", "sha256", "resize")}
        card["features"] = self.extractor.feature_dim
        return Score(estimate, unit, {"extractor": card})
