"""Pictures of walks through the latent space: between images, over a plane, along dimensions."""

from functools import partial
from typing import Any, ClassVar, cast

import torch
from lightning.pytorch import LightningModule, Trainer

from lightning_gen import contracts
from lightning_gen.callbacks.first_images import FirstImages
from lightning_gen.callbacks.picture import check_at_least
from lightning_gen.callbacks.validation_codes import ValidationCodes, class_names, drawn
from lightning_gen.contracts import Batch, Codes, Encodes, condition_on
from lightning_gen.errors import UserError
from lightning_gen.latent import PathName, coordinate_plane
from lightning_gen.views.codes import free_dimensions
from lightning_gen.views.dimensions import grid_axes, latent_grid, rank, traversal, typical
from lightning_gen.views.view import View, interpolation

MOST_DIMENSIONS = 1000
"""Feature maps of more numbers than these are not walked along."""


class Interpolation(FirstImages):
    """Draws the way from one validation image to another through their codes, a pair a row.

    The images stand at both ends, beside what the model makes of their codes. A model without an
    encoder is shown between draws of its prior.

    Args:
        num_pairs: how many pairs.
        steps: decoded codes in a row, those of both ends included.
        path: "linear" or "spherical".
    """

    requires: ClassVar[contracts.Needs] = contracts.WALKS
    usual_epochs = 5

    def __init__(
        self,
        num_pairs: int = 6,
        steps: int = 10,
        path: PathName = "linear",
        **options: Any,  # noqa: ANN401
    ) -> None:
        check_at_least(1, num_pairs, "Interpolation.num_pairs")
        check_at_least(2, steps, "Interpolation.steps")
        super().__init__(2 * num_pairs, **options)
        self.steps = steps
        self.path = path

    def view(self, pl_module: LightningModule, batch: Batch, split: str) -> View:
        """A row for each pair."""
        model = cast(contracts.Decodes, pl_module)
        walk = partial(interpolation, model, steps=self.steps, path=self.path)
        if not contracts.able(pl_module, (Encodes,)):
            noise = drawn(cast(contracts.SamplesCodes, pl_module), self.num_images).codes
            view = walk(*noise.to(pl_module.device).chunk(2))
            return view._replace(title=f"{view.title}, between draws of the prior")
        half = len(batch.images) // 2
        if half == 0:
            raise UserError("an interpolation takes at least 2 images, got 1. Take more images.")
        batch = batch.first(2 * half)
        codes: Codes = condition_on(pl_module, batch).encode(batch.images).float()
        classes = class_names(pl_module.trainer)
        ends = [classes[label] if classes else split for label in batch.labels.tolist()]
        names = [f"{a} to {b}" for a, b in zip(ends[:half], ends[half:], strict=True)]
        originals = batch.images[:half], batch.images[half:]
        view = walk(*codes.chunk(2), names=names, originals=originals)
        return view._replace(title=f"{view.title}, between {split} images")


class LatentGrid(ValidationCodes):
    """Draws what the decoder makes of a regular grid of codes.

    The plane is that of two latent dimensions, at quantiles of the prior (without a prior: evenly
    over the middle 98 % of the validation codes); where there are more, that of the principal axes
    of the validation codes, or of the ``dimensions``. Without an encoder the other dimensions are
    those of one draw of the prior.

    Args:
        steps: images along each side.
        dimensions: the two latent dimensions to show.
    """

    requires: ClassVar[contracts.Needs] = contracts.WALKS

    def __init__(
        self,
        steps: int = 15,
        dimensions: tuple[int, int] | None = None,
        **options: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(**options)
        check_at_least(2, steps, "LatentGrid.steps")
        self.steps = steps
        self.dimensions = dimensions

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Raise a UserError when the model lacks what this picture shows, or the dimensions."""
        super().setup(trainer, pl_module, stage)
        if self.dimensions is not None and isinstance(pl_module, contracts.SamplesCodes):
            coordinate_plane(torch.zeros(pl_module.latent_dim), *self.dimensions)

    def draw(self, trainer: Trainer, pl_module: LightningModule) -> View | None:
        """The grid; None where the epoch had no validation."""
        kept = self.codes_or_draw(pl_module)
        if kept is None:
            return None
        codes = kept.codes.to(pl_module.device)
        axes = grid_axes(pl_module, codes, self.steps, self.dimensions)
        return latent_grid(cast(contracts.Decodes, pl_module), axes)


class Traversal(ValidationCodes):
    """Draws one row a latent dimension: the code of an image with this dimension changed.

    The rows are ordered by KL, or by the codes' standard deviation for a model without a posterior.
    The range is ``span`` standard deviations of the prior to both sides, or, without a prior, of
    the dimension's own codes. The code is that of an image of middle brightness, of the first 64;
    without an encoder it is a draw of the prior. Feature maps of more than 1,000 numbers are not
    drawn: one of so many changes nothing that is seen.

    Args:
        num_dimensions: rows.
        steps: images in a row.
        span: the range, in standard deviations.
    """

    requires: ClassVar[contracts.Needs] = contracts.WALKS

    def __init__(
        self,
        num_dimensions: int = 10,
        steps: int = 9,
        span: float = 3.0,
        **options: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(**options)
        check_at_least(1, num_dimensions, "Traversal.num_dimensions")
        check_at_least(2, steps, "Traversal.steps")
        if span <= 0:
            raise UserError(f"Traversal.span is above 0, got {span}. Set it to 3.")
        self.num_dimensions = num_dimensions
        self.steps = steps
        self.span = span

    def draw(self, trainer: Trainer, pl_module: LightningModule) -> View | None:
        """The rows; None where the epoch had no validation."""
        kept = self.codes_or_draw(pl_module)
        if kept is None or free_dimensions(pl_module, kept.codes) > MOST_DIMENSIONS:
            return None
        model = cast(contracts.Decodes, pl_module)
        origin = typical(model, kept.codes.to(pl_module.device))
        ranked = rank(pl_module, kept, self.num_dimensions)
        return traversal(model, origin, kept, ranked, steps=self.steps, span=self.span)
