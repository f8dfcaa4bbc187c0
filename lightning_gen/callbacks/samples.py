"""New images from the model."""

from typing import ClassVar, cast

import torch
from lightning.pytorch import LightningModule, Trainer

from lightning_gen import contracts
from lightning_gen.callbacks.picture import Picture, check_at_least
from lightning_gen.figures import Pixels, image_grid


class Samples(Picture):
    """Draws new images from the same noise each time, so that pictures of one run are comparable.

    Args:
        num_images: how many images.
        every_n_epochs: training epochs from one picture to the next.
        seed: of the noise; it does not touch the random state of training.
    """

    requires: ClassVar[contracts.Needs] = (contracts.Samples,)

    def __init__(self, num_images: int = 64, every_n_epochs: int = 1, seed: int = 0) -> None:
        super().__init__(every_n_epochs)
        check_at_least(1, num_images, "Samples.num_images")
        self.num_images = num_images
        self.seed = seed

    def draw(self, trainer: Trainer, pl_module: LightningModule) -> Pixels:
        """A square of samples."""
        torch.manual_seed(self.seed)  # the base gives the random state back
        images = cast(contracts.Samples, pl_module).sample(self.num_images)
        return image_grid(images, f"Samples at step {trainer.global_step}")
