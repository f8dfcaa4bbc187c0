"""Which checkpoint a training leaves, and whether one fits the model asked for."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor

from lightning_gen._compat import forget_average, is_restoring
from lightning_gen.cli.defaults import BestAndLast
from lightning_gen.errors import UserError
from lightning_gen.runs.checkpoint import load_checkpoint


def best_checkpoint(trainer: Trainer) -> str | None:
    """Path of the best checkpoint of this training; None where none was saved."""
    kept = [each for each in trainer.checkpoint_callbacks if isinstance(each, BestAndLast)]
    path = Path(kept[0].best_model_path or kept[0].last_model_path) if kept else Path()
    if not path.is_file():
        return None
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def forget_averages(trainer: Trainer) -> None:
    """Let the test after a training load the averaged weights, which are the checkpoint's own.

    A callback that still holds its average would load the weights of the last step beside them.
    """
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, WeightAveraging):
            forget_average(callback)


def check_same_model(model: LightningModule, path: Path) -> None:
    """Look whether a model can go on with a checkpoint.

    Raises:
        UserError: the file is no checkpoint, was trained with other arguments than ``model``, or
            holds other weights.
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


def cannot_go_on(trainer: Trainer, error: Exception) -> UserError | None:
    """What to tell a user where ``error`` came up while a checkpoint was restored; else None."""
    if not is_restoring(trainer):
        return None
    reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
    return UserError(
        f"{trainer.ckpt_path} cannot be restored ({reason}). Pass another checkpoint of the run."
    )


def differences(old: object, new: object, key: str = "") -> Iterator[tuple[str, object, object]]:
    """Each place where two nested dicts differ: its dotted key, and both values."""
    if isinstance(old, dict) and isinstance(new, dict):
        for word in [*old, *(word for word in new if word not in old)]:
            yield from differences(old.get(word), new.get(word), f"{key}.{word}".lstrip("._"))
    elif old != new:
        yield key, old, new
