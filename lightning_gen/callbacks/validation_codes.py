"""Pictures of the codes of validation images: where they lie, and sums of their class means."""

from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar, cast

import torch
from lightning.pytorch import LightningModule, Trainer

from lightning_gen import contracts
from lightning_gen.callbacks.picture import Picture, check_at_least, moment, snake_case
from lightning_gen.contracts import Batch, Encodes, SamplesCodes
from lightning_gen.figures.style import Pixels
from lightning_gen.latent import PCA, Projection
from lightning_gen.views.arithmetic import Terms, arithmetic, check_terms, default_terms
from lightning_gen.views.codes import (
    LabelledCodes,
    encode,
    join,
    latent_scatter,
    unlabelled,
    without_condition,
)
from lightning_gen.views.view import View


class ValidationCodes(Picture):
    """Keeps the codes of the first validation images in the epochs in which a picture is due.

    Without a validation nothing is drawn, unless the model has no encoder. On several devices the
    images are those of rank zero's share.

    Args:
        num_images: how many validation images are encoded, the first ones.
    """

    usual_epochs = 5

    def __init__(self, num_images: int = 2000, **options: Any) -> None:  # noqa: ANN401
        super().__init__(**options)
        check_at_least(2, num_images, f"{type(self).__name__}.num_images")
        self.num_images = num_images
        self._parts: list[LabelledCodes] = []
        self._seen = 0

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget the codes of an earlier epoch."""
        super().on_train_epoch_start(trainer, pl_module)
        self._parts = []

    def see(self, pl_module: LightningModule, batch: Batch, batch_idx: int) -> None:
        """Encode the batch while images are missing, where a picture is due."""
        trainer = pl_module.trainer
        due = self.is_due(trainer) or trainer.current_epoch + 1 == trainer.max_epochs
        rehearsal = trainer.sanity_checking or trainer.fast_dev_run  # type: ignore[attr-defined]
        if trainer.is_global_zero and due and not rehearsal:
            self.keep(pl_module, batch, batch_idx)

    def keep(self, pl_module: LightningModule, batch: Batch, batch_idx: int) -> bool:
        """Encode the batch while images are missing; the others are counted."""
        if batch_idx == 0:
            self._parts, self._seen = [], 0
        missing = self.num_images - self._seen
        self._seen += len(batch.images)
        if missing > 0 and isinstance(pl_module, Encodes):
            with pl_module.trainer.precision_plugin.forward_context():
                self._parts.append(encode(pl_module, batch.first(missing)))
        return True

    def kept(self) -> LabelledCodes | None:
        """The codes of this epoch; None where there was no validation."""
        return join(self._parts) if self._parts else None

    def codes_or_draw(self, pl_module: LightningModule) -> LabelledCodes | None:
        """The codes of this epoch; of a model without an encoder one draw of its prior."""
        if isinstance(pl_module, Encodes):
            return self.kept()
        return drawn(cast(SamplesCodes, pl_module), 1)


class Arithmetic(ValidationCodes):
    """Draws the mean codes of three classes or attributes, decoded, and A - B + C.

    Args:
        terms: names of A, B and C; ``!Smiling`` is without the attribute. By default those that
            say something of faces and of Fashion-MNIST, and nothing where the data have others.
    """

    requires: ClassVar[contracts.Needs] = (contracts.Encodes, contracts.Decodes)

    def __init__(self, terms: Terms | None = None, **options: Any) -> None:  # noqa: ANN401
        super().__init__(**options)
        self.terms = terms

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Raise a UserError when the model or the data lack what this picture shows."""
        super().setup(trainer, pl_module, stage)
        if self.terms is not None:
            check_terms(self.terms, class_names(trainer), factor_names(trainer))

    def draw(self, trainer: Trainer, pl_module: LightningModule) -> View | None:
        """The terms and their sum; None where the epoch had no validation."""
        codes, names = self.kept(), (class_names(trainer), factor_names(trainer))
        terms = codes and (self.terms or default_terms(codes, *names))
        if codes is None or terms is None:
            return None
        model = cast(contracts.Decodes, pl_module)
        return arithmetic(model, codes, terms, *names, pl_module.device)


class LatentScatter(ValidationCodes):
    """Draws the codes of validation images, coloured by class.

    Codes of two dimensions are drawn as they are. A test is drawn too, as
    ``images/latent_scatter_test``, or ``latent_scatter_test_tsne``; that after a training along the
    principal axes of its last picture.

    Args:
        projection: lays out codes of more than two dimensions: PCA, at once, or TSNE or UMAP, which
            take seconds to minutes and are therefore drawn at the end of training alone.
    """

    requires: ClassVar[contracts.Needs] = (contracts.Encodes,)

    def __init__(self, projection: Projection = PCA(), **options: Any) -> None:  # noqa: ANN401, B008
        super().__init__(**options)
        self.projection = projection
        self._axes: LabelledCodes | None = None

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

    def see(self, pl_module: LightningModule, batch: Batch, batch_idx: int) -> None:
        """Encode the batch while images are missing."""
        trainer = pl_module.trainer
        if not trainer.testing:
            super().see(pl_module, batch, batch_idx)
        elif trainer.is_global_zero and not trainer.fast_dev_run:  # type: ignore[attr-defined]
            self.keep(pl_module, batch, batch_idx)

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw the codes of the test split."""
        codes, self._parts = self.kept(), []
        if codes is not None:
            draw = partial(self._scatter, trainer, pl_module, codes, "test")
            kind = type(self.projection)
            other = "" if kind is PCA else f"_{snake_case(kind.__name__)}"
            self._show(trainer, pl_module, f"latent_scatter_test{other}", draw)

    def _scatter(
        self, trainer: Trainer, pl_module: LightningModule, codes: LabelledCodes, split: str
    ) -> Pixels:
        return latent_scatter(
            without_condition(pl_module, codes),
            class_names(trainer),
            self.projection,
            f"{split} images at {moment(trainer)}",
            total=self._seen,
            like=self._axes and without_condition(pl_module, self._axes).codes,
        )


def drawn(model: SamplesCodes, count: int) -> LabelledCodes:
    """Codes from the prior, the same ones each time; to be called where the state is given back."""
    torch.manual_seed(0)
    return unlabelled(model.sample_codes(count))


def class_names(trainer: Trainer) -> Sequence[str]:
    """A name for each class of the data; none where they are not known."""
    info = contracts.info_of(trainer.datamodule)  # type: ignore[attr-defined]
    return info.class_names if info else ()


def factor_names(trainer: Trainer) -> Sequence[str]:
    """A name for each factor of the data."""
    info = contracts.info_of(trainer.datamodule)  # type: ignore[attr-defined]
    return info.factor_names if info else ()
