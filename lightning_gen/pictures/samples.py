"""New images, of all kinds or of each class."""

from dataclasses import dataclass
from itertools import islice
from typing import Any, ClassVar

import torch

from lightning_gen import contracts
from lightning_gen.pictures.picture import Picture, Seen, View


@dataclass(frozen=True)
class Samples(Picture):
    """New images from the same noise each time, so that pictures of one run are comparable.

    Args:
        num_images: how many.
        seed: of the noise.
    """

    requires: ClassVar[contracts.Needs] = (contracts.SamplesImages,)
    usual_epochs = 1
    least: ClassVar[dict[str, int]] = {"num_images": 1}

    num_images: int = 64
    seed: int = 0

    @property
    def num_drawn(self) -> int:
        """The samples."""
        return self.num_images

    def draw(self, model: Any, seen: Seen) -> View:  # noqa: ANN401
        """A square of samples."""
        torch.manual_seed(self.seed)
        return View({"": model.sample(self.num_images)}, "Samples")


@dataclass(frozen=True)
class ConditionalSamples(Samples):
    """One row of samples a class, or for each attribute, with the same noise down each column.

    Args:
        num_images: images in a row.
        seed: of the noise.
        max_rows: of many classes the first so many are drawn.
    """

    requires = (contracts.Conditional,)
    least: ClassVar[dict[str, int]] = {"num_images": 1, "max_rows": 1}

    num_images: int = 10
    max_rows: int = 10

    @property
    def num_drawn(self) -> int:
        """The rows."""
        return self.num_images * self.max_rows

    def draw(self, model: Any, seen: Seen) -> View:  # noqa: ANN401
        """A row for each label."""
        rows = {}
        for name, label in islice(model.examples().items(), self.max_rows):
            torch.manual_seed(self.seed)
            labels = label.expand(self.num_images, *label.shape)
            rows[name] = model.sample(self.num_images, labels)
        return View(rows, "Samples of each condition")
