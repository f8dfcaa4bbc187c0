"""What each latent dimension does."""

from typing import ClassVar, cast

from lightning.pytorch import LightningModule, Trainer

from lightning_gen import contracts
from lightning_gen.callbacks.picture import check_at_least
from lightning_gen.callbacks.validation_codes import ValidationCodes
from lightning_gen.errors import UserError
from lightning_gen.figures import Pixels
from lightning_gen.views import free_dimensions, rank, traversal, typical

MOST_DIMENSIONS = 1000


class Traversal(ValidationCodes):
    """Draws one row a latent dimension: the code of an image with this dimension changed.

    The rows are ordered by KL, or by the codes' standard deviation for a model without a posterior.
    The range is ``span`` standard deviations of the prior to both sides, or, without a prior, of
    the dimension's own codes. Without an encoder the code is a draw of the prior. Feature maps of
    more than 1,000 numbers are not drawn: one of so many changes nothing that is seen.

    Args:
        num_dimensions: rows.
        steps: images in a row.
        span: the range, in standard deviations.
        num_images: how many validation images rank the dimensions; of the first 64
            that of middle brightness is shown.
        every_n_epochs: training epochs from one picture to the next.
    """

    requires: ClassVar[contracts.Needs] = contracts.WALKS

    def __init__(
        self,
        num_dimensions: int = 10,
        steps: int = 9,
        span: float = 3.0,
        num_images: int = 2000,
        every_n_epochs: int = 5,
    ) -> None:
        super().__init__(num_images, every_n_epochs)
        check_at_least(1, num_dimensions, "Traversal.num_dimensions")
        check_at_least(2, steps, "Traversal.steps")
        if span <= 0:
            raise UserError(f"Traversal.span is above 0, got {span}. Set it to 3.")
        self.num_dimensions = num_dimensions
        self.steps = steps
        self.span = span

    def draw(self, trainer: Trainer, pl_module: LightningModule) -> Pixels | None:
        """The rows; None where the epoch had no validation."""
        kept = self.codes_or_draw(pl_module)
        if kept is None or free_dimensions(pl_module, kept.codes) > MOST_DIMENSIONS:
            return None
        model = cast(contracts.Decodes, pl_module)
        view = traversal(
            model,
            typical(model, kept.codes.to(pl_module.device)),
            kept,
            rank(pl_module, kept, self.num_dimensions),
            steps=self.steps,
            span=self.span,
        )
        return view.pixels(f"at step {trainer.global_step}")
