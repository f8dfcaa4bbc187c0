"""The images that all runs of a comparison are shown."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import torch

from lightning_gen import contracts
from lightning_gen.contracts import Batch
from lightning_gen.errors import UserError
from lightning_gen.runs.inputs import SplitInputs
from lightning_gen.runs.pages.compared_runs import ComparedRun
from lightning_gen.views import LabelledCodes, encode, join

CODES = 2000
"""Images whose codes are looked at."""


@dataclass(frozen=True)
class SharedImages:
    """Images of the first run's test split, and their codes in each run.

    Attributes:
        batch: the images that are shown.
        class_names: a name for each label.
        factor_names: a name for each factor.
        codes: of many more of them, by the label of each run that is able to encode them.
        total: images of the split.
    """

    batch: Batch
    class_names: Sequence[str]
    factor_names: Sequence[str]
    codes: dict[str, LabelledCodes]
    total: int

    @classmethod
    def read(cls, runs: Sequence[ComparedRun], num_images: int) -> "SharedImages":
        """Read them and encode them.

        Raises:
            UserError: the dataset of the first run cannot be read.
        """
        source = runs[0].finished
        inputs = SplitInputs(source, "test")
        parts = [batch for batch, _ in inputs.shown("encoding", max(CODES, num_images))]
        whole = Batch(*(torch.cat(pieces) for pieces in zip(*parts, strict=True)))
        codes: dict[str, LabelledCodes] = {}
        for run in runs:
            with suppress(UserError):  # other classes: ``of`` says so where the codes are missed
                check_classes(run.model, source.class_names)
                if isinstance(run.model, contracts.Encodes):
                    codes[run.label] = join([encode(run.model, part) for part in parts])
        factor_names = tuple(getattr(source.data, "factor_names", ()))
        first = whole.first(num_images)
        return cls(first, source.class_names, factor_names, codes, len(inputs))

    def of(self, run: ComparedRun) -> LabelledCodes:
        """The codes in a run that is able to encode.

        Raises:
            UserError: it was told of other classes.
        """
        check_classes(run.model, self.class_names)
        return self.codes[run.label]


def check_classes(model: object, class_names: Sequence[str]) -> None:
    """Raise a UserError where a conditional model was trained with other classes than these."""
    own = getattr(model, "hparams", {}).get("class_names")
    if isinstance(model, contracts.Conditional) and own and tuple(own) != tuple(class_names):
        raise UserError(
            f"it is told the class of each image, and its {len(own)} classes are not the "
            f"{len(class_names)} of these images."
        )
