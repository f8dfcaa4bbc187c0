"""A plane of the latent space, decoded."""

from typing import ClassVar, cast

import torch
from lightning.pytorch import LightningModule, Trainer

from lightning_gen import contracts
from lightning_gen.callbacks.picture import check_at_least
from lightning_gen.callbacks.validation_codes import ValidationCodes
from lightning_gen.figures import Pixels
from lightning_gen.latent import coordinate_plane
from lightning_gen.views import grid_axes, latent_grid


class LatentGrid(ValidationCodes):
    """Draws what the decoder makes of a regular grid of codes.

    The plane is that of two latent dimensions, at quantiles of the prior (without a prior: evenly
    over the middle 98 % of the validation codes); where there are more, that of the principal axes
    of the validation codes, or of the ``dimensions``. Without an encoder the other dimensions are
    those of one draw of the prior.

    Args:
        steps: images along each side.
        dimensions: the two latent dimensions to show.
        num_images: how many validation images are encoded.
        every_n_epochs: training epochs from one picture to the next.
    """

    requires: ClassVar[contracts.Needs] = contracts.WALKS

    def __init__(
        self,
        steps: int = 15,
        dimensions: tuple[int, int] | None = None,
        num_images: int = 2000,
        every_n_epochs: int = 5,
    ) -> None:
        super().__init__(num_images, every_n_epochs)
        check_at_least(2, steps, "LatentGrid.steps")
        self.steps = steps
        self.dimensions = dimensions

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Raise a UserError when the model lacks what this picture shows, or the dimensions."""
        super().setup(trainer, pl_module, stage)
        if self.dimensions is not None and isinstance(pl_module, contracts.SamplesCodes):
            coordinate_plane(torch.zeros(pl_module.latent_dim), *self.dimensions)

    def draw(self, trainer: Trainer, pl_module: LightningModule) -> Pixels | None:
        """The grid; None where the epoch had no validation."""
        kept = self.codes_or_draw(pl_module)
        if kept is None:
            return None
        codes = kept.codes.to(pl_module.device)
        axes = grid_axes(pl_module, codes, self.steps, self.dimensions)
        view = latent_grid(cast(contracts.Decodes, pl_module), axes)
        return view.pixels(f"at step {trainer.global_step}")
