"""New images from the model, of all kinds or of each class."""

from itertools import islice
from typing import ClassVar, cast

import torch
from lightning.pytorch import LightningModule, Trainer

from lightning_gen import contracts
from lightning_gen.callbacks.picture import Picture, check_at_least
from lightning_gen.figures import Pixels, image_grid, image_rows


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


class ConditionalSamples(Picture):
    """Draws one row a class, or a row for each attribute, with the same noise down each column.

    Args:
        num_images: images in a row.
        max_rows: of many classes the first so many are drawn.
        every_n_epochs: training epochs from one picture to the next.
        seed: of the noise; it does not touch the random state of training.
    """

    requires: ClassVar[contracts.Needs] = (contracts.Conditional,)

    def __init__(
        self, num_images: int = 10, max_rows: int = 10, every_n_epochs: int = 1, seed: int = 0
    ) -> None:
        super().__init__(every_n_epochs)
        check_at_least(1, num_images, "ConditionalSamples.num_images")
        check_at_least(1, max_rows, "ConditionalSamples.max_rows")
        self.num_images = num_images
        self.max_rows = max_rows
        self.seed = seed

    def draw(self, trainer: Trainer, pl_module: LightningModule) -> Pixels:
        """A row for each label."""
        model = cast(contracts.Conditional, pl_module)
        rows = {}
        for name, label in islice(model.examples().items(), self.max_rows):
            torch.manual_seed(self.seed)  # the base gives the random state back
            labels = label.expand(self.num_images, *label.shape)
            rows[name] = model.sample(self.num_images, labels)
        return image_rows(rows, f"Samples of each condition at step {trainer.global_step}")
