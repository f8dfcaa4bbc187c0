"""Whether a model can go on with a checkpoint, and how two configurations differ."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule
from torch import Tensor

from lightning_gen.errors import UserError
from lightning_gen.training.checkpoint import load_checkpoint


def check_same_model(model: LightningModule, path: Path) -> None:
    """Raise a UserError where a model cannot go on with a checkpoint.

    It is none, was trained with other arguments than ``model``, or holds other weights.
    """
    checkpoint = load_checkpoint(path)
    kept = checkpoint.get("hyper_parameters", {})
    asked = {key: value for key, value in model.hparams.items() if key in kept}
    for key, old, new in differences({key: kept[key] for key in asked}, asked):
        raise UserError(
            f"the checkpoint was trained with {key} {old}, and this run asks for {new}. "
            "Ask for the same, or start without --ckpt_path."
        )
    if not model.strict_loading:
        return
    found = shapes(checkpoint["state_dict"])
    for name, old, new in differences(found, shapes(model.state_dict())):
        raise UserError(
            f"{path} does not fit {type(model).__name__}: its weights {name} are {old or 'missing'}"
            f", expected {new or 'none'}. Pass a checkpoint of the same model."
        )


def shapes(weights: Mapping[str, Any]) -> dict[str, object]:
    """The shape of each tensor, such as 8x784, or its type where it is none."""
    return {
        name: "x".join(map(str, value.shape)) or "a number"
        if isinstance(value, Tensor)
        else type(value).__name__
        for name, value in weights.items()
    }


def differences(old: object, new: object, key: str = "") -> Iterator[tuple[str, object, object]]:
    """Each option, by its dotted name, whose values in two configurations differ, and both."""
    if isinstance(old, dict) and isinstance(new, dict):
        for word in dict.fromkeys([*old, *new]):
            inner = key if word == "init_args" else f"{key}.{word}".lstrip("._")
            yield from differences(old.get(word), new.get(word), inner)
    elif old != new:
        yield key, old, new
