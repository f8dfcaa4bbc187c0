"""How well a model removes the damage that it was trained to remove."""

import math
from typing import ClassVar

import torch
from lightning.pytorch import LightningModule, Trainer

from lightning_gen.callbacks.drawing import Watching, evaluation_mode
from lightning_gen.contracts import Batch, Denoises
from lightning_gen.pictures.reconstructions import denoised
from lightning_gen.quantities import Quantity


class DenoisingQuality(Watching):
    """Damages the images of each evaluation, and measures what the model gives back.

    Logs ``val/noisy_mse``, ``val/denoised_mse`` (mean squared error per pixel against the clean
    image, in [0, 1]^2), and ``val/noisy_psnr``, ``val/denoised_psnr`` (-10 log10 of them, in dB)
    over the whole split, and the same for ``test``. The noise is that of the model's corruption and
    the same in each evaluation; it costs one more pass through the model.
    """

    requires = (Denoises,)
    quantities: ClassVar[dict[str, Quantity]] = {
        "noisy_mse": Quantity(),
        "denoised_mse": Quantity(better="lower"),
        "noisy_psnr": Quantity("dB"),
        "denoised_psnr": Quantity("dB", better="higher"),
    }

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin to measure."""
        from torchmetrics import MeanSquaredError  # here: it imports all of them, nearly a second

        self._errors = {
            name: MeanSquaredError().to(pl_module.device) for name in ("noisy", "denoised")
        }

    def look(self, trainer: Trainer, pl_module: LightningModule, batch: Batch, index: int) -> None:
        """Measure the batch."""
        with evaluation_mode(trainer, pl_module):
            torch.manual_seed(index)
            for name, images in denoised(pl_module, batch).items():
                self._errors[name].update(images, batch.images)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the errors, the same on all ranks."""
        stage = "test" if trainer.testing else "val"
        for name, metric in self._errors.items():
            mse = metric.compute().item()
            values = {f"{stage}/{name}_mse": mse, f"{stage}/{name}_psnr": psnr(mse)}
            pl_module.log_dict(values, sync_dist=True)

    on_test_epoch_start = on_validation_epoch_start
    on_test_batch_end = Watching.on_validation_batch_end
    on_test_epoch_end = on_validation_epoch_end


def psnr(mse: float) -> float:
    """Peak signal-to-noise ratio of images in [0, 1], in dB; infinite where there is no error."""
    return -10 * math.log10(mse) if mse > 0 else math.inf
