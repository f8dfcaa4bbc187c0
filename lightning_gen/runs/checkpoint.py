"""Reads a checkpoint without running anything in it."""

from pathlib import Path
from typing import Any
from warnings import catch_warnings

import torch
from lightning.pytorch import LightningModule

from lightning_gen.allowed import enforced, imported, refusal
from lightning_gen.errors import UserError


def load_checkpoint(path: Path) -> dict[str, Any]:
    """The content of a checkpoint, on the CPU.

    Raises:
        UserError: the file is broken, no checkpoint of Lightning, or holds more than plain values.
    """
    try:
        with catch_warnings(action="ignore"):  # of pickle protocols that torch did not write
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a broken pickle raises nearly anything
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


def load_model(path: Path) -> LightningModule:
    """The model of a checkpoint with its weights, on the CPU, in evaluation mode and frozen.

    Raises:
        UserError: as :func:`load_checkpoint`; or its model cannot be built, or does not fit it.
    """
    kept = load_checkpoint(path).get("hyper_parameters", {})
    with enforced():
        kind = model_class(kept.get("_class_path"), path)
        try:
            model = kind.load_from_checkpoint(path, map_location="cpu", weights_only=True)
        except Exception as error:  # of the parser, of a part, of the weights
            if refused := refusal(str(error)):
                raise UserError(f"{path} cannot be loaded: {refused}") from error
            reason = " ".join(str(error).split())[:300]
            raise UserError(
                f"{path} does not fit {kind.__name__} as it is installed: {reason}. Use the "
                "version of lightning-gen in the run's environment.json."
            ) from error
    model.freeze()
    return model


def model_class(class_path: str | None, path: Path) -> type[LightningModule]:
    """The class that a checkpoint names.

    Raises:
        UserError: it names none, or nothing that is a LightningModule: whatever else a stranger's
            checkpoint names is not called.
    """
    try:
        kind = imported(class_path)
    except (ImportError, AttributeError, ValueError) as error:
        if refused := refusal(str(error)):
            raise UserError(f"{path} cannot be loaded: {refused}") from error
        raise UserError(
            f"{path} is of the model {class_path!r}, which cannot be imported. Run from the folder "
            "that has its file, or use a model that keeps its class (hyperparameters.remember)."
        ) from error
    if not (isinstance(kind, type) and issubclass(kind, LightningModule)):
        raise UserError(f"{path} names {class_path!r} as its model, which is no LightningModule.")
    return kind
