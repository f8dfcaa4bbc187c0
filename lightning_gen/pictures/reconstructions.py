"""Images and what a model gives back of them."""

from dataclasses import dataclass
from typing import Any, ClassVar

from lightning_gen import contracts
from lightning_gen.contracts import Batch, Images, condition_on
from lightning_gen.pictures.picture import Picture, Seen, View


@dataclass(frozen=True)
class Reconstructions(Picture):
    """Images over their reconstructions, the same ones each time.

    Args:
        num_images: how many.
    """

    requires: ClassVar[contracts.Needs] = (contracts.Reconstructs,)
    usual_epochs = 1
    least: ClassVar[dict[str, int]] = {"num_images": 1}

    num_images: int = 16

    @property
    def looks_at(self) -> int:
        """The images that are shown."""
        return self.num_images

    def draw(self, model: Any, seen: Seen) -> View:  # noqa: ANN401
        """Originals and reconstructions."""
        batch = seen.required_batch
        rows = {
            "original": batch.images,
            "reconstruction": condition_on(model, batch).reconstruct(batch.images),
        }
        return View(rows, f"Reconstructions of {seen.what}")


@dataclass(frozen=True)
class Denoising(Reconstructions):
    """Damaged images, what the model gives back of them, and the images themselves.

    The damage is that of the model's corruption, and the same each time.

    Args:
        num_images: how many.
    """

    requires = (contracts.Denoises,)

    def draw(self, model: Any, seen: Seen) -> View:  # noqa: ANN401
        """Noisy, denoised and clean images."""
        batch = seen.required_batch
        return View({**denoised(model, batch), "clean": batch.images}, f"Denoising of {seen.what}")


def denoised(model: Any, batch: Batch) -> dict[str, Images]:  # noqa: ANN401
    """The images of a batch as the model's corruption leaves them, and what it makes of those."""
    noisy = model.corrupt(batch.images)
    return {"noisy": noisy, "denoised": condition_on(model, batch).reconstruct(noisy)}
