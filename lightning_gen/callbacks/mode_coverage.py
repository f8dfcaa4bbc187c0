"""How many of the modes of Stacked MNIST a model's samples have."""

from typing import Any, cast

import torch
from jaxtyping import Int
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor

from lightning_gen.callbacks.evaluation import Evaluation, Score, Scores, home, share
from lightning_gen.callbacks.sample_quality import draw_samples
from lightning_gen.contracts import Batch, Images, SamplesImages, info_of
from lightning_gen.errors import UserError, check_whole
from lightning_gen.features import MNISTClassifier
from lightning_gen.metrics import MeanOverImages
from lightning_gen.metrics.generation import ModeCounts
from lightning_gen.quantities import Quantity

SIDE = 28
"""Pixels of a digit."""


class ModeCoverage(Evaluation):
    """Scores ``modes``, how many of the data's classes samples have, and ``modes_kl`` in nats.

    For ``StackedMNIST``, whose 1,000 or 100 classes are what its digits write, and ``MNIST``. The
    class of a sample is what :class:`~lightning_gen.features.MNISTClassifier` reads, digit by
    digit; ``modes_kl`` is KL(p || uniform) of the samples' shares of classes
    (:class:`~lightning_gen.metrics.generation.ModeCounts`). What is no digit is read as one, too:
    the scores say that a model loses modes, not that its images are good. The cards say which share
    of ``num_images`` real images is read right. 26,000 samples are the papers' number; values of
    one number compare. To read their digits takes 80 s of one CPU core, beside the samples.

    Args:
        num_samples: how many samples are read, on all processes together.
    """

    requires = (SamplesImages,)

    def __init__(self, num_samples: int = 26_000, **options: Any) -> None:  # noqa: ANN401
        super().__init__(**options)
        check_whole("ModeCoverage.num_samples", num_samples, 1)
        self.num_samples = num_samples

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Raise a UserError when the model draws nothing, or the classes are not digits."""
        super().setup(trainer, pl_module, stage)
        data = trainer.datamodule  # type: ignore[attr-defined]
        info = info_of(data)
        channels, height, width = info.image_shape if info else (0, 0, 0)
        digits = channels * (width // SIDE)
        written = tuple(f"{number:0{digits}}" for number in range(10 ** min(digits, 3)))
        if not info or height != SIDE or width % SIDE or info.class_names != written:
            raise UserError(
                "ModeCoverage needs images of digits of 28x28 whose classes are the numbers that "
                f"they write, got {type(data).__name__}. Take --data StackedMNIST or MNIST."
            )
        self._num_modes = len(written)

    def begin(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget the counts."""
        self._judge = MNISTClassifier().to(pl_module.device)
        self._counts = ModeCounts(self._num_modes).to(home(pl_module))
        self._right = MeanOverImages().to(home(pl_module))

    def see(self, pl_module: LightningModule, batch: Batch) -> None:
        """Read real images."""
        right = self._read(batch.images) == batch.labels
        self._right.update(right.float().to(self._right.device))

    def finish(self, trainer: Trainer, pl_module: LightningModule) -> Scores:
        """Draw samples and read them."""
        draw = cast(SamplesImages, pl_module).sample
        for images in draw_samples(draw, share(self.num_samples, trainer)):
            self._counts.update(self._read(images).to(self._counts.device))
        found, kl = self._counts.compute()
        details = {
            "of": self._num_modes,
            "num_samples": self.num_samples,
            "judge": {"name": self._judge.name, "sha256": self._judge.sha256},
            "judge_accuracy": self._right.compute().value.item(),
        }
        yield "modes", Score(found, "none", details)
        yield "modes_kl", Score(kl, "nats", details)

    @property
    def quantities(self) -> dict[str, Quantity]:
        """What the scores are."""
        known = {"modes": Quantity(better="higher"), "modes_kl": Quantity("nats", "lower")}
        return {name: known[name] for name in self.cards}

    def _read(self, images: Images) -> Int[Tensor, " n"]:
        """The number that the digits of each image write: channel by channel, left to right."""
        digits = images.unfold(3, SIDE, SIDE).transpose(2, 3).reshape(-1, 1, SIDE, SIDE)
        read = self._judge.classes(digits).view(len(images), -1)
        powers = 10 ** torch.arange(read.shape[1], device=read.device).flip(0)
        return (read * powers).sum(dim=1)
