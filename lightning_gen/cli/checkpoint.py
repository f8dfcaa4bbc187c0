"""Reads a checkpoint without running anything in it, and compares it with the model asked for."""

from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from lightning.pytorch import LightningModule

from lightning_gen.errors import UserError


def load_checkpoint(path: Path) -> dict[str, Any]:
    """The content of a checkpoint, on the CPU.

    Raises:
        UserError: the file is broken, no checkpoint of Lightning, or holds more than plain values.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, OSError, UnpicklingError, ValueError) as error:
        raise UserError(
            f"{path} is broken, or holds more than the plain values and tensors of a checkpoint; "
            "nothing in it was run. Use another file of its folder."
        ) from error
    if not isinstance(content, dict) or "state_dict" not in content:
        raise UserError(
            f"{path} is no checkpoint of a run: it has no state_dict. Pass one of a run's "
            "checkpoints folder."
        )
    return content


def check_same_model(model: LightningModule, checkpoint: dict[str, Any]) -> None:
    """Raise a UserError when the checkpoint was trained with other arguments than ``model``."""
    kept = checkpoint.get("hyper_parameters", {})
    for key, value in model.hparams.items():
        if key in kept and kept[key] != value:
            raise UserError(
                f"the checkpoint was trained with {key.lstrip('_')} {kept[key]}, and this run asks "
                f"for {value}. Ask for the same, or start without --ckpt_path."
            )
