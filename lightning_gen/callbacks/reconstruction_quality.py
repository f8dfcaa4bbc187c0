"""How near reconstructions are to their images."""

from collections.abc import Mapping
from typing import ClassVar

from lightning.pytorch import LightningModule, Trainer

from lightning_gen import contracts
from lightning_gen.callbacks.evaluation import Evaluation, Score, home
from lightning_gen.contracts import Batch, given
from lightning_gen.metrics import BCE, MSE, PSNR, SSIM
from lightning_gen.metrics.reconstruction import ReconstructionMetric


class ReconstructionQuality(Evaluation):
    """Scores ``mse``, ``psnr`` (dB), ``ssim`` and ``bce`` of reconstructions; seconds on a CPU.

    A VAE reconstructs from the posterior mean. Images under 11 pixels a side have no ``ssim``.

    Args:
        num_images: how many images of the split are used, spread evenly over it.
    """

    requires: ClassVar[contracts.Needs] = (contracts.Reconstructs,)

    def __init__(self, num_images: int = 10_000) -> None:
        super().__init__(num_images)

    def begin(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start new means."""
        self._metrics: dict[str, ReconstructionMetric] = {
            "mse": MSE(),
            "psnr": PSNR(),
            "ssim": SSIM(),
            "bce": BCE(),
        }
        for metric in self._metrics.values():
            metric.to(home(pl_module))

    def see(self, pl_module: LightningModule, batch: Batch) -> None:
        """Reconstruct the batch."""
        if min(batch.images.shape[2:]) < SSIM.window:
            self._metrics.pop("ssim", None)
        reconstructions = given(pl_module, batch).reconstruct(batch.images)
        for metric in self._metrics.values():
            metric.update(reconstructions.to(metric.device), batch.images.to(metric.device))

    def finish(self, trainer: Trainer, pl_module: LightningModule) -> Mapping[str, Score]:
        """The means."""
        return {
            name: Score(metric.compute(), metric.unit) for name, metric in self._metrics.items()
        }
