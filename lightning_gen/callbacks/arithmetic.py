"""mean(A) - mean(B) + mean(C), decoded."""

from typing import ClassVar, cast

from lightning.pytorch import LightningModule, Trainer

from lightning_gen import contracts
from lightning_gen.callbacks.validation_codes import ValidationCodes, class_names, factor_names
from lightning_gen.figures import Pixels
from lightning_gen.views import Terms, arithmetic, check_terms, default_terms


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
