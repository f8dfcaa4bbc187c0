"""Pictures of the first validation images and of what a model makes of them."""

from abc import abstractmethod
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer

from lightning_gen.callbacks.picture import Picture, check_at_least, validation_batches
from lightning_gen.contracts import Batch
from lightning_gen.figures import Pixels
from lightning_gen.views import View


class FirstImages(Picture):
    """Draws what a model makes of the first validation images, the same ones each time.

    Where no validation has run, not even a sanity check, they come from the first training batch.
    On several devices they are the first images of rank zero's share.

    Args:
        num_images: how many images.
        every_n_epochs: training epochs from one picture to the next.
    """

    def __init__(self, num_images: int = 16, every_n_epochs: int = 1) -> None:
        super().__init__(every_n_epochs)
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
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,  # noqa: ANN401  (Lightning's)
        batch: Batch,
        batch_idx: int,
    ) -> None:
        """Keep images of the first training batch."""
        if "training" not in self._kept:
            self._kept["training"] = Batch(*(t.clone() for t in batch.first(self.num_images)))

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,  # noqa: ANN401  (Lightning's)
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep the first validation images."""
        if dataloader_idx > 0:
            return
        kept = self._kept.get("validation") if batch_idx else None
        missing = self.num_images - (len(kept.images) if kept else 0)
        if missing > 0:
            parts = zip(kept or batch.first(0), batch.first(missing), strict=True)
            self._kept["validation"] = Batch(*(torch.cat(pair) for pair in parts))

    def see_validation(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keep the first validation images."""
        for number, batch in enumerate(validation_batches(trainer)):
            self.on_validation_batch_end(trainer, pl_module, None, batch, number)
            if len(self._kept["validation"].images) >= self.num_images:
                return

    def draw(self, trainer: Trainer, pl_module: LightningModule) -> Pixels | None:
        """The view; None where no image was seen yet."""
        split = next((name for name in ("validation", "training") if name in self._kept), None)
        if split is None:
            return None
        view = self.view(pl_module, self._kept[split], split)
        return view.pixels(f"at step {trainer.global_step}")
