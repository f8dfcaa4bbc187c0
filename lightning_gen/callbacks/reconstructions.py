"""Originals over their reconstructions."""

from typing import ClassVar

from lightning.pytorch import LightningModule

from lightning_gen import contracts
from lightning_gen.callbacks.first_images import FirstImages
from lightning_gen.contracts import Batch, given
from lightning_gen.views import View


class Reconstructions(FirstImages):
    """Draws the first validation images over their reconstructions, the same ones each time.

    Args:
        num_images: how many images.
        every_n_epochs: training epochs from one picture to the next.
    """

    requires: ClassVar[contracts.Needs] = (contracts.Reconstructs,)

    def view(self, pl_module: LightningModule, batch: Batch, split: str) -> View:
        """Originals and reconstructions."""
        reconstructions = given(pl_module, batch).reconstruct(batch.images)
        rows = {"original": batch.images, "reconstruction": reconstructions}
        return View(rows, f"Reconstructions of {split} images")
