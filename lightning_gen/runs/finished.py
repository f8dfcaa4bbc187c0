"""A finished run, ready to be used."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningDataModule, LightningModule

from lightning_gen.allowed import enforced, refusal
from lightning_gen.contracts import ImageShape, Needs, require
from lightning_gen.errors import UserError
from lightning_gen.runs.checkpoint import build, load_model
from lightning_gen.runs.directory import CONFIG, RunDirectory


@dataclass(frozen=True)
class FinishedRun:
    """A trained model and what is known of its training.

    Attributes:
        model: the model with its weights, in evaluation mode and frozen.
        checkpoint: the file of the weights.
        path: the run directory, or the folder of a checkpoint that lies in none; new files go here.
    """

    model: LightningModule
    checkpoint: Path
    path: Path

    @classmethod
    def open(cls, place: str | Path, device: str = "cpu") -> "FinishedRun":
        """Load a run: its best checkpoint, or the latest where nothing was validated.

        Args:
            place: a run directory, a checkpoint, or the name of a run (its latest version).
            device: where the model is put; "auto" is a CUDA device where there is one.

        Raises:
            UserError: there is no such run or checkpoint, it is broken, or there is no such device.
        """
        place = Path(place).expanduser()
        found = [path for path in (place, Path("logs") / place) if path.is_file()]
        if place.suffix == ".ckpt" and found:
            checkpoint, *_ = found
            inside = (checkpoint.parent.parent / CONFIG).is_file()
            path = checkpoint.parent.parent if inside else checkpoint.parent
        else:
            directory = RunDirectory.of(place)
            checkpoint, path = directory.best, directory.path
        model = load_model(checkpoint)
        check_weights(model, checkpoint)
        return cls(model.to(existing_device(device)), checkpoint, path)

    @property
    def name(self) -> str:
        """``<name>/version_<n>`` of a run directory, or the checkpoint's own name."""
        return RunDirectory(self.path).name if self._in_directory else self.checkpoint.stem

    @property
    def _in_directory(self) -> bool:
        return (self.path / CONFIG).is_file()

    @property
    def image_shape(self) -> ImageShape:
        """(channels, height, width) of the model's images.

        Raises:
            UserError: the model does not keep it.
        """
        shape = self.model.hparams.get("image_shape")
        if shape is None:
            name = type(self.model).__name__
            raise UserError(
                f"the checkpoint of {name} holds no image_shape. Let {name} take image_shape and "
                "keep its arguments with lightning_gen.hyperparameters.KeepsArguments."
            )
        channels, height, width = shape
        return channels, height, width

    @cached_property
    def config(self) -> dict[str, Any]:
        """The complete configuration; a UserError where the run's directory is not known."""
        if not self._in_directory:
            raise UserError(
                f"{self.checkpoint} lies in no run directory, so the dataset of its training is "
                "not known. Pass images of your own with --images, or the run directory."
            )
        return RunDirectory(self.path).read_config()

    @cached_property
    def data(self) -> LightningDataModule:
        """The dataset of the training, built as it was; a UserError where it cannot be."""
        try:
            with enforced():
                return build(LightningDataModule, "data", self.config.get("data"))
        except UserError:
            raise
        except Exception as error:  # jsonargparse raises what its parts raise
            reason = refusal(str(error)) or f"{' '.join(str(error).split())[:300]}."
            raise UserError(
                f"the dataset of {self.path / CONFIG} cannot be built: {reason} Pass images of "
                "your own with --images."
            ) from error

    @property
    def class_names(self) -> tuple[str, ...]:
        """A name for each class of the dataset; empty where the run's directory is not known."""
        return tuple(getattr(self.data, "class_names", ())) if self._in_directory else ()

    def require(self, needs: Needs, asker: str) -> None:
        """Raise a UserError where the model lacks a capability that ``asker`` needs."""
        require(self.model, needs, asker, "Choose a run of another model.")


def check_weights(model: LightningModule, checkpoint: Path) -> None:
    """Raise a UserError where a weight is NaN or infinite: whatever is computed with it is too."""
    weights = [(k, v) for k, v in model.state_dict().items() if v.is_floating_point()]
    if broken := [name for name, value in weights if not value.isfinite().all()]:
        raise UserError(
            f"{checkpoint} holds NaN or infinite weights, {broken[0]} and {len(broken) - 1} more: "
            "its training has diverged. Pass an earlier checkpoint, or train with a lower learning "
            "rate."
        )


def existing_device(name: str) -> torch.device:
    """The device of this name; a UserError where this machine does not have it."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UserError(
            f"device is auto, cpu, cuda, cuda:1 or mps, and this machine has no {name!r}. "
            "Pass --device cpu."
        ) from error
    return device
