"""How near reconstructions are to their images, and how well they tell anomalies from normal ones.

Both take seconds on a CPU.
"""

from collections.abc import Sequence
from inspect import signature
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer

from lightning_gen.callbacks.evaluation import Evaluation, Score, Scores, home
from lightning_gen.contracts import (
    Batch,
    EstimatesLikelihood,
    Reconstructs,
    able,
    condition_on,
    info_of,
)
from lightning_gen.errors import UserError
from lightning_gen.metrics import AUROC, BCE, MSE, PSNR, SSIM
from lightning_gen.metrics.anomaly import negative_elbo
from lightning_gen.metrics.reconstruction import ReconstructionMetric


class ReconstructionQuality(Evaluation):
    """Scores ``mse``, ``psnr`` (dB), ``ssim`` and ``bce`` of reconstructions.

    A VAE reconstructs from the posterior mean. Images under 11 pixels a side have no ``ssim``.

    Args:
        num_images: how many images of the split are used, spread evenly over it.
    """

    requires = (Reconstructs,)

    def __init__(self, num_images: int = 10_000) -> None:
        super().__init__(num_images)

    def begin(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start new means."""
        metrics: tuple[ReconstructionMetric, ...] = (MSE(), PSNR(), SSIM(), BCE())
        self._metrics = {type(each).__name__.lower(): each.to(home(pl_module)) for each in metrics}

    def see(self, pl_module: LightningModule, batch: Batch) -> None:
        """Reconstruct the batch."""
        if min(batch.images.shape[2:]) < SSIM.window:
            self._metrics.pop("ssim", None)
        reconstructions = condition_on(pl_module, batch).reconstruct(batch.images)
        for metric in self._metrics.values():
            metric.update(reconstructions.to(metric.device), batch.images.to(metric.device))

    def finish(self, trainer: Trainer, pl_module: LightningModule) -> Scores:
        """The means."""
        for name, metric in self._metrics.items():
            yield name, Score(metric.compute(), metric.unit)


class AnomalyDetection(Evaluation):
    """Scores ``auroc_reconstruction`` and, for a model that bounds log p(x), ``auroc_elbo``.

    Normal are the classes that the data was told to train on (``data.train_classes``); all others
    are anomalies. The score of an image is the squared error of its reconstruction, or its
    negative ELBO, the mean over ``num_samples`` posterior draws.

    Args:
        num_samples: posterior draws an image, for the ELBO.
    """

    requires = (Reconstructs,)

    def __init__(self, num_samples: int = 10, **options: Any) -> None:  # noqa: ANN401
        super().__init__(**options)
        self.num_samples = num_samples

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Learn which classes are normal; a UserError where all are, or the model cannot."""
        super().setup(trainer, pl_module, stage)
        data = trainer.datamodule  # type: ignore[attr-defined]
        info = info_of(data)
        self._normal: Sequence[int] = info.normal_classes if info else ()
        if not self._normal:
            remedy = "Choose data that has train_classes, such as MNIST."
            if "train_classes" in signature(type(data)).parameters:
                remedy = "Set data.train_classes, for instance to ['0']."
            raise UserError(
                "AnomalyDetection needs data that trains on some of its classes, the normal ones, "
                f"and {type(data).__name__} trains on all. {remedy}"
            )

    def begin(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget the scores."""
        self._reconstruction, self._elbo = (AUROC().to(home(pl_module)) for _ in range(2))
        self._bounds = able(pl_module, (EstimatesLikelihood,))

    def see(self, pl_module: LightningModule, batch: Batch) -> None:
        """Score the batch."""
        model, images = condition_on(pl_module, batch), batch.images
        normal = torch.tensor(self._normal, device=batch.labels.device)
        device = self._elbo.device
        anomalous = ~torch.isin(batch.labels, normal).to(device)
        errors = MSE.of(model.reconstruct(images), images)
        self._reconstruction.update(errors.to(device), anomalous)
        if self._bounds:
            bound = negative_elbo(model, images, self.num_samples)
            self._elbo.update(bound.to(device), anomalous)

    def finish(self, trainer: Trainer, pl_module: LightningModule) -> Scores:
        """The areas."""
        normal = {"normal_classes": list(self._normal)}
        yield "auroc_reconstruction", Score(self._reconstruction.compute(), "none", normal)
        if self._bounds:
            details = {**normal, "posterior_draws": self.num_samples}
            yield "auroc_elbo", Score(self._elbo.compute(), "none", details)
