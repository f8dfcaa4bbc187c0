"""How much of the noise a denoising autoencoder takes away."""

import math
from typing import Any, ClassVar, cast

import torch
from lightning.pytorch import LightningModule, Trainer

from lightning_gen import contracts
from lightning_gen.callbacks.first_images import FirstImages
from lightning_gen.callbacks.picture import untouched
from lightning_gen.contracts import Batch, given
from lightning_gen.views import View


class Denoising(FirstImages):
    """Damages the images of each evaluation, measures what the model gives back, and draws it.

    Logs ``val/noisy_mse``, ``val/denoised_mse`` (mean squared error per pixel against the clean
    image, in [0, 1]^2), and ``val/noisy_psnr``, ``val/denoised_psnr`` (-10 log10 of them, in dB)
    over the whole split, and the same for ``test``. The noise is that of the model's corruption and
    the same in each evaluation; it costs one more pass through the model.

    Args:
        num_images: how many images are drawn.
        every_n_epochs: training epochs from one picture to the next.
    """

    requires: ClassVar[contracts.Needs] = (contracts.Denoises,)

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin to measure."""
        from torchmetrics import MeanSquaredError  # here: it imports all of them, nearly a second

        self._errors = {
            name: MeanSquaredError().to(pl_module.device) for name in ("noisy", "denoised")
        }

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,  # noqa: ANN401  (Lightning's)
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep the first validation images, and measure the batch."""
        super().on_validation_batch_end(
            trainer, pl_module, outputs, batch, batch_idx, dataloader_idx
        )
        self._measure(trainer, pl_module, batch, batch_idx)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the errors, the same on all ranks."""
        stage = "test" if trainer.testing else "val"
        for name, metric in self._errors.items():
            mse = metric.compute().item()
            values = {f"{stage}/{name}_mse": mse, f"{stage}/{name}_psnr": psnr(mse)}
            pl_module.log_dict(values, sync_dist=True)

    on_test_epoch_start = on_validation_epoch_start
    on_test_epoch_end = on_validation_epoch_end

    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,  # noqa: ANN401  (Lightning's)
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Measure the batch."""
        self._measure(trainer, pl_module, batch, batch_idx)

    def view(self, pl_module: LightningModule, batch: Batch, split: str) -> View:
        """Noisy, denoised and clean images."""
        torch.manual_seed(0)  # the base gives the random state back
        noisy = cast(contracts.Denoises, pl_module).corrupt(batch.images)
        denoised = given(pl_module, batch).reconstruct(noisy)
        rows = {"noisy": noisy, "denoised": denoised, "clean": batch.images}
        return View(rows, f"Denoising of {split} images")

    def _measure(
        self, trainer: Trainer, pl_module: LightningModule, batch: Batch, batch_idx: int
    ) -> None:
        with untouched(trainer, pl_module):
            torch.manual_seed(batch_idx)
            noisy = cast(contracts.Denoises, pl_module).corrupt(batch.images)
            denoised = given(pl_module, batch).reconstruct(noisy)
        for name, images in (("noisy", noisy), ("denoised", denoised)):
            self._errors[name].update(images, batch.images)


def psnr(mse: float) -> float:
    """Peak signal-to-noise ratio of images in [0, 1], in dB; infinite where there is no error."""
    return -10 * math.log10(mse) if mse > 0 else math.inf
