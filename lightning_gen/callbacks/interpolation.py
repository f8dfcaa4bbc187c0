"""From one image to another."""

from typing import ClassVar, cast

from lightning.pytorch import LightningModule

from lightning_gen import contracts
from lightning_gen.callbacks.first_images import FirstImages
from lightning_gen.callbacks.picture import check_at_least
from lightning_gen.callbacks.validation_codes import class_names, drawn
from lightning_gen.contracts import Batch, Codes, Encodes, given
from lightning_gen.errors import UserError
from lightning_gen.latent import PathName
from lightning_gen.views import View, interpolation


class Interpolation(FirstImages):
    """Draws the way from one validation image to another through their codes, a pair a row.

    The images stand at both ends, beside what the model makes of their codes. A model without an
    encoder is shown between draws of its prior.

    Args:
        num_pairs: how many pairs.
        steps: decoded codes in a row, those of both ends included.
        path: "linear" or "spherical".
        every_n_epochs: training epochs from one picture to the next.
    """

    requires: ClassVar[contracts.Needs] = contracts.WALKS

    def __init__(
        self,
        num_pairs: int = 6,
        steps: int = 10,
        path: PathName = "linear",
        every_n_epochs: int = 5,
    ) -> None:
        check_at_least(1, num_pairs, "Interpolation.num_pairs")
        check_at_least(2, steps, "Interpolation.steps")
        super().__init__(2 * num_pairs, every_n_epochs)
        self.steps = steps
        self.path = path

    def view(self, pl_module: LightningModule, batch: Batch, split: str) -> View:
        """A row for each pair."""
        model = cast(contracts.Decodes, pl_module)
        if not isinstance(pl_module, Encodes):
            noise = drawn(cast(contracts.SamplesCodes, pl_module), self.num_images).codes
            start, end = noise.to(pl_module.device).chunk(2)
            view = interpolation(model, start, end, steps=self.steps, path=self.path)
            return view._replace(title=f"{view.title}, between draws of the prior")
        half = len(batch.images) // 2
        if half == 0:
            raise UserError("an interpolation takes at least 2 images, got 1. Take more images.")
        codes: Codes = given(pl_module, batch).encode(batch.images).float()
        classes = class_names(pl_module.trainer)
        names = [classes[label] if classes else split for label in batch.labels.tolist()]
        view = interpolation(
            model,
            codes[:half],
            codes[half : 2 * half],
            steps=self.steps,
            path=self.path,
            names=[f"{a} to {b}" for a, b in zip(names[:half], names[half:], strict=False)],
            originals=(batch.images[:half], batch.images[half : 2 * half]),
        )
        return view._replace(title=f"{view.title}, between {split} images")
