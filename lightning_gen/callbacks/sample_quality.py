"""How near a model's samples are to real images, in the features of a network."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, cast

import torch
import torch.nn.functional as F
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor, distributed
from torchmetrics.utilities.distributed import gather_all_tensors

from lightning_gen.callbacks.drawing import publish
from lightning_gen.callbacks.evaluation import Evaluation, Score, Scores, home, training_batches
from lightning_gen.contracts import (
    Batch,
    Conditional,
    Images,
    Reconstructs,
    SamplesImages,
    able,
    condition_on,
    info_of,
)
from lightning_gen.features import Extractor, TrainedClassifier
from lightning_gen.metrics.estimate import GROUPS, Estimate, MeanOverImages
from lightning_gen.metrics.generation import (
    DensityCoverage,
    FrechetDistance,
    KernelDistance,
    Memorisation,
    PrecisionRecall,
    nearest_training_images,
)
from lightning_gen.pictures import View
from lightning_gen.progress import progress

BATCH = 500
SHOWN = 10
"""Samples that are shown beside the training images nearest to them."""
WIDE = 512
"""Above so many features the Frechet distance has no standard error: it would take gigabytes."""


def of_all_processes(rows: Tensor) -> Tensor:
    """The rows that each process has, on all of them."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return rows
    return torch.cat(gather_all_tensors(rows))


def draw_samples(draw: Callable[[int], Images], count: int) -> Iterator[Images]:
    """``count`` new images, a batch at a time, with progress."""
    with progress(count, "samples") as bar:
        for start in range(0, count, BATCH):
            images = draw(min(BATCH, count - start))
            yield images
            bar.update(len(images))


class NearSamples(NamedTuple):
    """Samples, and of each the squared distance to the nearest training image, and its number."""

    images: Images
    distance: Tensor
    which: Tensor

    def nearest(self, count: int) -> "NearSamples":
        """The few that are nearest."""
        order = self.distance.argsort()[:count]
        return NearSamples(*(part[order.to(part.device)] for part in self))

    def and_others(self, others: "NearSamples") -> "NearSamples":
        """Both."""
        return NearSamples(*(torch.cat(pair) for pair in zip(self, others, strict=True)))


class SampleQuality(Evaluation):
    """Scores samples against the images of the split, in the features of ``extractor``.

    With E the extractor's name: ``frechet_distance[E]``, ``kernel_distance[E]``, ``precision[E]``,
    ``recall[E]``, ``density[E]``, ``coverage[E]``; ``fid`` and ``kid`` are those of Inception
    alone. A model that reconstructs also has ``reconstruction_frechet_distance[E]`` and the gap
    ``frechet_distance_gap[E]``, by which samples are worse than reconstructions: what the prior
    costs. ``memorisation[E]`` is how often a sample is nearer to a training image, or to its mirror
    image where the training mirrors, than an image of the split is: 0.5 where the model copies
    nothing. The picture ``nearest_training_images`` shows the nearest samples beside these, on one
    process. A dataset without ``in_order`` has neither. A :class:`TrainedClassifier` also gives
    ``rarest_class[E]``, the share of samples of the class that has the fewest, and, of a model that
    is told the class, ``class_agreement[E]``: the share of samples that it sees the class in that
    was asked for, each class as often. As many samples are drawn as there are images.
    Scores depend on the number of images and compare at one number only; their standard
    errors are over other real images as well as other samples.

    10,000 images of 28x28 against 10,000 take under a minute of one CPU core, Inception a second of
    a GPU or half an hour of a CPU for the features. Memorisation takes the features of all training
    images too, whatever ``num_images`` is.

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
        self._memorisation = Memorisation()
        for metric in (*self._of_samples, self._of_reconstructions, self._memorisation):
            metric.to(home(pl_module))
        self._training = self._of_training(trainer, pl_module)
        self._nearest: NearSamples | None = None

    def _of_training(self, trainer: Trainer, pl_module: LightningModule) -> Tensor | None:
        """The features of the training images, then of their mirror images; None without them."""
        parts, mirrored = list[Tensor](), list[Tensor]()
        mirrors = getattr(trainer.datamodule, "mirror", False)  # type: ignore[attr-defined]
        for batch in training_batches(trainer, ordered=True):
            parts.append(self.extractor(batch.images))
            if mirrors:
                mirrored.append(self.extractor(batch.images.flip(3)))
        if not parts:
            return None
        self._num_training = sum(map(len, parts))
        return of_all_processes(torch.cat(parts + mirrored)).to(home(pl_module))

    def see(self, pl_module: LightningModule, batch: Batch) -> None:
        """Features of real images, and of their reconstructions."""
        features = self.extractor(batch.images)
        for metric in (*self._of_samples, self._of_reconstructions):
            metric.update(features.to(metric.device), real=True)
        if self._training is not None:
            near = nearest_training_images(features.to(self._training.device), self._training)
            self._memorisation.update(near.distance, real=True)
        if able(pl_module, (Reconstructs,)):
            again = self.extractor(condition_on(pl_module, batch).reconstruct(batch.images))
            self._of_reconstructions.update(again.to(self._of_reconstructions.device), real=False)

    def finish(self, trainer: Trainer, pl_module: LightningModule) -> Scores:
        """Draw samples; the scores of their features."""
        shares = _Shares(self.extractor, home(pl_module))
        for images in draw_samples(cast(SamplesImages, pl_module).sample, self._seen):
            shares.update(images)
            features = self.extractor(images)
            for metric in self._of_samples:
                metric.update(features.to(metric.device), real=False)
            self._compare_with_training(images, features)
        name = self.extractor.score_name
        squared = "squared feature units"
        distance = self._frechet.compute()
        yield name("frechet_distance"), self._score(distance, squared)
        yield name("kernel_distance"), self._score(self._kernel.compute(), "none")
        found = {**self._ranges.compute()._asdict(), **self._balls.compute()._asdict()}
        for key, estimate in found.items():
            yield name(key), self._score(estimate, "none")
        for key, estimate in shares.compute(pl_module, self._seen):
            yield name(key), self._score(estimate, "none")
        if self._training is not None:
            yield name("memorisation"), self._score(self._memorisation.compute(), "none")
            self._show_nearest(trainer)
        if able(pl_module, (Reconstructs,)):
            other = self._of_reconstructions.compute()
            gap = self._frechet.gap(self._of_reconstructions)
            yield name("reconstruction_frechet_distance"), self._score(other, squared)
            yield name("frechet_distance_gap"), self._score(gap, squared)

    def _compare_with_training(self, images: Images, features: Tensor) -> None:
        """Take in how near samples are to training images; keep the nearest ones."""
        if self._training is None:
            return
        near = nearest_training_images(features.to(self._training.device), self._training)
        self._memorisation.update(near.distance, real=False)
        found = NearSamples(images, *near)
        found = found.and_others(self._nearest) if self._nearest else found
        self._nearest = found.nearest(SHOWN)

    def _show_nearest(self, trainer: Trainer) -> None:
        """Draw the nearest samples beside the training images."""
        if self._nearest is None or trainer.world_size > 1:  # each process has its own images
            return
        first, images, count = 0, dict[int, Tensor](), self._num_training
        wanted = [i % count for i in self._nearest.which.tolist()]
        for batch in training_batches(trainer, ordered=True):
            last = first + len(batch.images)
            images |= {i: batch.images[i - first] for i in wanted if first <= i < last}
            first = last
        shown = torch.stack([images[i] for i in wanted])
        turned = (self._nearest.which >= count).to(shown.device)
        shown = torch.where(turned[:, None, None, None], shown.flip(3), shown)
        rows = {"sample": self._nearest.images, "training image": shown}
        title = f"Of {self._seen} samples the nearest to a training image, by {self.extractor.name}"
        publish(trainer, "nearest_training_images", View(rows, title).pixels())

    def _score(self, estimate: Estimate, unit: str) -> Score:
        card = {name: getattr(self.extractor, name) for name in ("name", "sha256", "resize")}
        card["features"] = self.extractor.feature_dim
        return Score(estimate, unit, {"extractor": card})


class _Shares:
    """The classes that a classifier sees in samples; nothing where the extractor is none."""

    def __init__(self, extractor: Extractor, device: torch.device) -> None:
        self.judge = extractor if isinstance(extractor, TrainedClassifier) else None
        self.count = self.judge.network.head.out_features if self.judge else 0
        self.of_classes = MeanOverImages(self.count).to(device)
        self.agreement = MeanOverImages().to(device)

    def update(self, images: Images) -> None:
        """Take in samples of any class."""
        if self.judge:
            seen = F.one_hot(self.judge.classes(images), self.count).float()
            self.of_classes.update(seen.to(self.of_classes.device))

    def compute(self, model: LightningModule, count: int) -> Iterator[tuple[str, Estimate]]:
        """The rarest class's share; and the agreement, of ``count`` samples of a class each."""
        if self.judge is None:
            return
        shares, errors = self.of_classes.compute()
        rarest = shares.argmin()
        yield "rarest_class", Estimate(shares[rarest], errors[rarest])
        labels = [*model.examples().values()] if isinstance(model, Conditional) else []
        if len(labels) != self.count or labels[0].ndim > 0:  # attributes, or none
            return
        asked = torch.split(torch.arange(count, device=model.device) % self.count, BATCH)
        turns = iter(asked)

        def draw(n: int) -> Images:
            return cast(Conditional, model).sample(n, next(turns))

        for images, wanted in zip(draw_samples(draw, count), asked, strict=True):
            right = self.judge.classes(images) == wanted
            self.agreement.update(right.float().to(self.agreement.device))
        yield "class_agreement", self.agreement.compute()
