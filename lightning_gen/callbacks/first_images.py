"""Pictures of the first validation images and of what a model makes of them."""

import math
from abc import abstractmethod
from typing import Any, ClassVar, cast

import torch
from lightning.pytorch import LightningModule, Trainer

from lightning_gen import contracts
from lightning_gen.callbacks.picture import Picture, check_at_least, evaluation_mode
from lightning_gen.contracts import Batch, Images, condition_on
from lightning_gen.views.view import View


class FirstImages(Picture):
    """Draws what a model makes of the first validation images, the same ones each time.

    Where no validation has run, not even a sanity check, they come from the first training batch.
    On several devices they are the first images of rank zero's share.

    Args:
        num_images: how many images are drawn.
    """

    def __init__(self, num_images: int = 16, **options: Any) -> None:  # noqa: ANN401
        super().__init__(**options)
        check_at_least(1, num_images, f"{type(self).__name__}.num_images")
        self.num_images = num_images
        self._kept: dict[str, Batch] = {}

    @abstractmethod
    def view(self, pl_module: LightningModule, batch: Batch, split: str) -> View:
        """What the model makes of a batch of the split; it is in evaluation mode."""

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Forget the images of an earlier fit."""
        super().setup(trainer, pl_module, stage)
        self._kept = {}

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, _: object, batch: Batch, *rest: object
    ) -> None:
        """Keep images of the first training batch."""
        if "training" not in self._kept:
            self._kept["training"] = Batch(*(t.clone() for t in batch.first(self.num_images)))

    def keep(self, pl_module: LightningModule, batch: Batch, batch_idx: int) -> bool:
        """Keep the first validation images."""
        kept = self._kept.get("validation") if batch_idx else None
        missing = self.num_images - (len(kept.images) if kept else 0)
        if missing > 0:
            parts = zip(kept or batch.first(0), batch.first(missing), strict=True)
            self._kept["validation"] = Batch(*(torch.cat(pair) for pair in parts))
        return missing > len(batch.images)

    def draw(self, trainer: Trainer, pl_module: LightningModule) -> View | None:
        """The view; None where no image was seen yet."""
        for split in ("validation", "training"):
            if split in self._kept:
                return self.view(pl_module, self._kept[split], split)
        return None


class Reconstructions(FirstImages):
    """Draws the first validation images over their reconstructions, the same ones each time."""

    requires: ClassVar[contracts.Needs] = (contracts.Reconstructs,)

    def view(self, pl_module: LightningModule, batch: Batch, split: str) -> View:
        """Originals and reconstructions."""
        reconstructions = condition_on(pl_module, batch).reconstruct(batch.images)
        rows = {"original": batch.images, "reconstruction": reconstructions}
        return View(rows, f"Reconstructions of {split} images")


class Denoising(FirstImages):
    """Damages the images of each evaluation, measures what the model gives back, and draws it.

    Logs ``val/noisy_mse``, ``val/denoised_mse`` (mean squared error per pixel against the clean
    image, in [0, 1]^2), and ``val/noisy_psnr``, ``val/denoised_psnr`` (-10 log10 of them, in dB)
    over the whole split, and the same for ``test``. The noise is that of the model's corruption and
    the same in each evaluation; it costs one more pass through the model.
    """

    requires: ClassVar[contracts.Needs] = (contracts.Denoises,)

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin to measure."""
        from torchmetrics import MeanSquaredError  # here: it imports all of them, nearly a second

        self._errors = {
            name: MeanSquaredError().to(pl_module.device) for name in ("noisy", "denoised")
        }

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the errors, the same on all ranks."""
        stage = "test" if trainer.testing else "val"
        for name, metric in self._errors.items():
            mse = metric.compute().item()
            values = {f"{stage}/{name}_mse": mse, f"{stage}/{name}_psnr": psnr(mse)}
            pl_module.log_dict(values, sync_dist=True)

    on_test_epoch_start = on_validation_epoch_start
    on_test_epoch_end = on_validation_epoch_end
    on_test_batch_end = FirstImages.on_validation_batch_end

    def view(self, pl_module: LightningModule, batch: Batch, split: str) -> View:
        """Noisy, denoised and clean images."""
        rows = {**denoised(pl_module, batch, seed=0), "clean": batch.images}
        return View(rows, f"Denoising of {split} images")

    def see(self, pl_module: LightningModule, batch: Batch, batch_idx: int) -> None:
        """Keep the first validation images, and measure the batch."""
        if not pl_module.trainer.testing:
            super().see(pl_module, batch, batch_idx)
        with evaluation_mode(pl_module.trainer, pl_module):
            for name, images in denoised(pl_module, batch, batch_idx).items():
                self._errors[name].update(images, batch.images)


def denoised(model: LightningModule, batch: Batch, seed: int) -> dict[str, Images]:
    """The images of a batch as the model's corruption leaves them, and what it makes of those.

    To be called where the random state is given back.
    """
    torch.manual_seed(seed)
    noisy = cast(contracts.Denoises, model).corrupt(batch.images)
    return {"noisy": noisy, "denoised": condition_on(model, batch).reconstruct(noisy)}


def psnr(mse: float) -> float:
    """Peak signal-to-noise ratio of images in [0, 1], in dB; infinite where there is no error."""
    return -10 * math.log10(mse) if mse > 0 else math.inf
