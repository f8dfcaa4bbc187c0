"""Experiments with generative image models on PyTorch Lightning."""

from importlib.metadata import version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule

__version__ = version("lightning-gen")


def load(place: str, device: str = "cpu") -> "LightningModule":
    """The model of a finished run with its best weights, frozen and in evaluation mode.

    Args:
        place: a run directory, a checkpoint, or the name of a run (its latest version).
        device: where the model is put; "auto" is a CUDA device where there is one.

    Raises:
        UserError: there is no such run, or its checkpoint cannot be used.
    """
    from lightning_gen.runs import FinishedRun  # imported here, for the command to answer at once

    return FinishedRun.open(place, device).model
