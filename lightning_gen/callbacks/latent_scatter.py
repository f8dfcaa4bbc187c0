"""Where the images of each class lie in the latent space."""

from functools import partial
from typing import ClassVar

from lightning.pytorch import LightningModule, Trainer

from lightning_gen import contracts
from lightning_gen.callbacks.validation_codes import ValidationCodes, class_names
from lightning_gen.contracts import Batch
from lightning_gen.figures import Pixels
from lightning_gen.latent import PCA, Projection
from lightning_gen.views import LabelledCodes, latent_scatter, without_condition


class LatentScatter(ValidationCodes):
    """Draws the codes of validation images, coloured by class.

    Codes of two dimensions are drawn as they are. After a training its test is drawn too, as
    ``images/latent_scatter_test``, along the principal axes of the last picture.

    Args:
        projection: lays out codes of more than two dimensions: PCA, at once, or TSNE or UMAP, which
            take seconds to minutes and are therefore drawn at the end of training alone.
        num_images: how many images are drawn, the first ones.
        every_n_epochs: training epochs from one picture to the next.
    """

    requires: ClassVar[contracts.Needs] = (contracts.Encodes,)

    def __init__(
        self,
        projection: Projection = PCA(),  # noqa: B008  (frozen)
        num_images: int = 2000,
        every_n_epochs: int = 5,
    ) -> None:
        super().__init__(num_images, every_n_epochs)
        self.projection = projection
        self._follows_training = False
        self._axes: LabelledCodes | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The test that follows belongs to this training."""
        super().on_train_start(trainer, pl_module)
        self._follows_training = True

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw when the epoch is due."""
        if isinstance(self.projection, PCA):
            super().on_train_epoch_end(trainer, pl_module)

    def draw(self, trainer: Trainer, pl_module: LightningModule) -> Pixels | None:
        """The scatter; None where the epoch had no validation."""
        self._axes = codes = self.kept()
        return codes and self._scatter(trainer, pl_module, codes, "validation")

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget the codes of the validation."""
        self._parts, self._seen = [], 0

    on_test_batch_end = ValidationCodes.on_validation_batch_end

    def see(
        self, trainer: Trainer, pl_module: LightningModule, batch: Batch, batch_idx: int
    ) -> None:
        """Encode the batch while images are missing."""
        if not trainer.testing:
            super().see(trainer, pl_module, batch, batch_idx)
        elif self._follows_training and trainer.is_global_zero and not trainer.fast_dev_run:  # type: ignore[attr-defined]
            self._keep(trainer, pl_module, batch)

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw the codes of the test split."""
        codes, self._parts = self.kept(), []
        if codes is None:
            return
        draw = partial(self._scatter, trainer, pl_module, codes, "test")
        self._show(trainer, pl_module, "latent_scatter_test", draw)

    def _scatter(
        self, trainer: Trainer, pl_module: LightningModule, codes: LabelledCodes, split: str
    ) -> Pixels:
        return latent_scatter(
            without_condition(pl_module, codes),
            class_names(trainer),
            self.projection,
            f"{split} images at step {trainer.global_step}",
            total=self._seen,
            like=self._axes and without_condition(pl_module, self._axes).codes,
        )
