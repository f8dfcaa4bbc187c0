"""Which checkpoint a training leaves, whether one fits the model, and what else goes wrong."""

import errno
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor

from lightning_gen._compat import forget_average, is_restoring
from lightning_gen.cli.defaults import BestAndLast
from lightning_gen.errors import BadArgumentsError, InterruptionError, UserError
from lightning_gen.runs.checkpoint import load_checkpoint

NOT_WRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT)
"""What the system says of a folder that takes no file."""


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


def differences(old: object, new: object, key: str = "") -> Iterator[tuple[str, object, object]]:
    """Each place where two nested dicts differ: its dotted key, and both values."""
    if isinstance(old, dict) and isinstance(new, dict):
        for word in [*old, *(word for word in new if word not in old)]:
            yield from differences(old.get(word), new.get(word), f"{key}.{word}".lstrip("._"))
    elif old != new:
        yield key, old, new


@contextmanager
def told_to_the_user(trainer: Trainer) -> Iterator[None]:
    """Within, what the user can put right becomes a UserError or a BadArgumentsError.

    Args:
        trainer: whose run it is.
    """
    try:
        yield
    except (InterruptionError, MisconfigurationException):
        raise
    except UserError as error:
        if trainer.global_step == 0:  # nothing was lost: the data or the arguments
            raise BadArgumentsError(str(error)) from error
        raise
    except OSError as error:
        if error.errno not in NOT_WRITABLE:
            raise
        raise UserError(
            f"{error}. Make room there, or change its permissions; a run goes to a folder of "
            "your own with --trainer.default_root_dir."
        ) from error
    except Exception as error:
        if not is_restoring(trainer):
            raise
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise BadArgumentsError(
            f"{trainer.ckpt_path} cannot be restored ({reason}). Pass another checkpoint of the "
            "run."
        ) from error
