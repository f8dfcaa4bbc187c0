"""Pictures of the codes of validation images; mean(A) - mean(B) + mean(C), decoded."""

from collections.abc import Sequence
from typing import ClassVar, cast

import torch
from lightning.pytorch import LightningModule, Trainer

from lightning_gen import contracts
from lightning_gen.callbacks.picture import Picture, check_at_least, validation_batches
from lightning_gen.contracts import Batch, Codes, Encodes, SamplesCodes
from lightning_gen.figures import Pixels
from lightning_gen.views import (
    LabelledCodes,
    Terms,
    arithmetic,
    check_terms,
    default_terms,
    encode,
    join,
)


class ValidationCodes(Picture):
    """Keeps the codes of the first validation images in the epochs in which a picture is due.

    Without a validation nothing is drawn, unless the model has no encoder. On several devices the
    images are those of rank zero's share.

    Args:
        num_images: how many images are encoded.
        every_n_epochs: training epochs from one picture to the next.
    """

    def __init__(self, num_images: int = 2000, every_n_epochs: int = 5) -> None:
        super().__init__(every_n_epochs)
        check_at_least(2, num_images, f"{type(self).__name__}.num_images")
        self.num_images = num_images
        self._parts: list[LabelledCodes] = []
        self._seen = 0

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget the codes of an earlier epoch."""
        super().on_train_epoch_start(trainer, pl_module)
        self._parts = []

    def see(
        self, trainer: Trainer, pl_module: LightningModule, batch: Batch, batch_idx: int
    ) -> None:
        """Encode the batch while images are missing."""
        if batch_idx == 0:
            self._parts, self._seen = [], 0
        if trainer.is_global_zero and self._is_due(trainer):
            self._keep(trainer, pl_module, batch)

    def see_validation(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Encode the first validation images."""
        self._parts, self._seen = [], 0
        for batch in validation_batches(trainer):
            self._keep(trainer, pl_module, batch)

    def kept(self) -> LabelledCodes | None:
        """The codes of this epoch; None where there was no validation."""
        return join(self._parts) if self._parts else None

    def codes_or_draw(self, pl_module: LightningModule) -> LabelledCodes | None:
        """The codes of this epoch; of a model without an encoder one draw of its prior."""
        if isinstance(pl_module, Encodes):
            return self.kept()
        return drawn(cast(SamplesCodes, pl_module), 1)

    def _keep(self, trainer: Trainer, pl_module: LightningModule, batch: Batch) -> None:
        missing = self.num_images - self._seen
        self._seen += len(batch.images)
        if missing > 0 and isinstance(pl_module, Encodes):
            with trainer.precision_plugin.forward_context():
                self._parts.append(encode(pl_module, batch.first(missing)))

    def _is_due(self, trainer: Trainer) -> bool:
        epoch = trainer.current_epoch + 1
        last = epoch == trainer.max_epochs
        rehearsal = trainer.sanity_checking or trainer.fast_dev_run  # type: ignore[attr-defined]
        return not rehearsal and (epoch % self.every_n_epochs == 0 or last)


class Arithmetic(ValidationCodes):
    """Draws the mean codes of three classes or attributes, decoded, and A - B + C.

    Args:
        terms: names of A, B and C; ``!Smiling`` is without the attribute. By default those that
            say something of faces and of Fashion-MNIST, and nothing where the data have others.
        num_images: how many validation images the means are of.
        every_n_epochs: training epochs from one picture to the next.
    """

    requires: ClassVar[contracts.Needs] = (contracts.Encodes, contracts.Decodes)

    def __init__(
        self, terms: Terms | None = None, num_images: int = 2000, every_n_epochs: int = 5
    ) -> None:
        super().__init__(num_images, every_n_epochs)
        self.terms = terms

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Raise a UserError when the model or the data lack what this picture shows."""
        super().setup(trainer, pl_module, stage)
        if self.terms is not None:
            check_terms(self.terms, class_names(trainer), factor_names(trainer))

    def draw(self, trainer: Trainer, pl_module: LightningModule) -> Pixels | None:
        """The terms and their sum; None where the epoch had no validation."""
        codes, names = self.kept(), class_names(trainer)
        if codes is None:
            return None
        terms = self.terms or default_terms(codes, names, factor_names(trainer))
        if terms is None:
            return None
        model = cast(contracts.Decodes, pl_module)
        view = arithmetic(model, codes, terms, names, factor_names(trainer), pl_module.device)
        return view.pixels(f"at step {trainer.global_step}")


def drawn(model: SamplesCodes, count: int, seed: int = 0) -> LabelledCodes:
    """Codes from the prior, the same ones each time; to be called where the state is given back."""
    torch.manual_seed(seed)
    codes: Codes = model.sample_codes(count).float().cpu()
    nothing = torch.empty(count, 0)
    return LabelledCodes(codes, torch.zeros(count, dtype=torch.int64), nothing, nothing)


def class_names(trainer: Trainer) -> Sequence[str]:
    """A name for each class of the data; none where they are not known."""
    return tuple(getattr(trainer.datamodule, "class_names", ()))  # type: ignore[attr-defined]


def factor_names(trainer: Trainer) -> Sequence[str]:
    """A name for each factor of the data."""
    return tuple(getattr(trainer.datamodule, "factor_names", ()))  # type: ignore[attr-defined]
