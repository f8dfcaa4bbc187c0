"""Checkpoints: written whole or not at all, and read without running anything in them."""

import os
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar
from warnings import catch_warnings
from zipfile import BadZipFile, ZipFile

import torch
from jsonargparse import ArgumentParser
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities import rank_zero_info
from packaging.version import InvalidVersion, Version

from lightning_gen import models, networks, objectives, priors
from lightning_gen.allowed import enforced, imported, refusal, variable
from lightning_gen.atomic import draft
from lightning_gen.errors import UserError, user_error
from lightning_gen.hyperparameters import import_path
from lightning_gen.parts import check_part
from lightning_gen.training.directory import LAST, PREVIOUS, RunDirectory
from lightning_gen.training.safe_file import ENDING, read_safe, write_safe

HOMES = {
    name: f"{room.__name__}.{name}"
    for room in (models, networks, objectives, priors)
    for name in room.__all__
} | {"Transformer": "lightning_gen.priors.Autoregressive"}
"""Where each part of a model is, by its name, also by the one that it had."""

T = TypeVar("T")
VERSION = "pytorch-lightning_version"
BY_NAMES = ("state_dict", "hyper_parameters")
OF_THE_MODEL = (VERSION, "epoch", "global_step", "hyper_parameters")
"""Beside its weights, what a checkpoint says of a model and not of its training."""


def load_checkpoint(path: Path) -> dict[str, Any]:
    """A checkpoint's content, on the CPU, its checksums compared; a UserError if it is broken."""
    try:
        content = read_content(path)
    except Exception as error:  # a broken pickle raises nearly anything
        raise UserError(
            f"{path} is broken, or holds something else than the plain values and tensors of a "
            "checkpoint; nothing in it was run. Use another file of its folder, or weights alone "
            "with --init_from."
        ) from error
    found: dict[str, Any] = content if isinstance(content, dict) else {}
    if lack := lack_of(found):
        raise UserError(
            f"{path} is no checkpoint of a run: it has {lack}. Pass one of a run's checkpoints "
            "folder."
        )
    return found | {"hyper_parameters": at_home(found.get("hyper_parameters", {}))}


def read_content(path: Path) -> Any:  # noqa: ANN401  (plain values and tensors)
    """What torch has saved, or :func:`write_safe`, on the CPU; a broken file raises anything."""
    if path.suffix == ENDING:
        tensors, about = read_safe(path)
        return about | {"state_dict": tensors}
    with catch_warnings(action="ignore"):  # of pickle protocols that torch did not write
        content = torch.load(path, map_location="cpu", weights_only=True)
    check_sums(path)
    return content


def write_weights(checkpoint: Mapping[str, Any], path: Path) -> None:
    """Write what :func:`load_model` takes of a checkpoint; of the dataset its range, no paths."""
    of_data = checkpoint.get("datamodule_hyper_parameters", {})
    about = {name: checkpoint[name] for name in OF_THE_MODEL if name in checkpoint}
    about["datamodule_hyper_parameters"] = {"value_range": of_data.get("value_range")}
    write_safe(path, checkpoint["state_dict"], about)


def check_sums(path: Path) -> None:
    """Raise a BadZipFile where a tensor is damaged: torch does not look at the sums it wrote."""
    with ZipFile(path) as archive:
        damaged = archive.testzip()
    if damaged is not None:
        raise BadZipFile(damaged)


def lack_of(content: dict[str, Any]) -> str | None:
    """What a checkpoint of Lightning would have in place of this; None where it is one."""
    for name in (*BY_NAMES[:1], VERSION):
        if name not in content:
            return f"no {name}"
    try:
        Version(content[VERSION])
    except (InvalidVersion, TypeError):
        return f"{content[VERSION]!r} as its {VERSION}"
    broken = [name for name in BY_NAMES if not isinstance(content.get(name, {}), dict)]
    return f"no {broken[0]} by names" if broken else None


def newest_whole(run: RunDirectory) -> Path:
    """The newest checkpoint that is whole, to go on from; a UserError where there is none."""
    broken: list[str] = []
    for path in run.resumable:
        try:
            step = load_checkpoint(path)["global_step"]
        except UserError:
            broken.append(path.name)
            continue
        if broken:
            rank_zero_info(
                f"{' and '.join(broken)} of {run.checkpoints} cannot be read: the run goes on from "
                f"{path.name}, step {step}"
            )
        return path
    raise UserError(
        f"{run.path} has no whole checkpoint to go on from ({', '.join(broken)} cannot be read). "
        "Start anew, without --ckpt_path."
    )


def load_model(path: Path) -> LightningModule:
    """A checkpoint's model, on the CPU, evaluating and frozen; a UserError if it does not fit."""
    checkpoint = load_checkpoint(path)
    kept = dict(checkpoint.get("hyper_parameters", {}))
    with enforced():
        kind = model_class(kept.pop("_class_path", None), path)
        kept.pop("_instantiator", None)  # Lightning would import and call what it names
        try:
            named = {"class_path": import_path(kind), "init_args": kept}
            model = build(LightningModule, "model", named)
            restore(model, checkpoint)
        except Exception as error:  # of the parser, of a part, of the weights
            found = user_error(error)
            if reason := str(found) if found else refusal(str(error)):
                raise UserError(f"{path} cannot be loaded: {reason}") from error
            said = textwrap.shorten(f"{type(error).__name__}: {error}", 300, placeholder=" ...")
            raise UserError(
                f"{path} does not fit {kind.__name__} as it is installed: {said}. Use the class "
                "and the version of lightning-gen that it was trained with, which environment.json "
                "beside it names."
            ) from error
    return model


def at_home(value: Any) -> Any:  # noqa: ANN401  (plain values)
    """Plain values, in which each class of ours is where it is now, wherever it stood before."""
    if isinstance(value, dict):
        return {key: at_home(part) for key, part in value.items()}
    if isinstance(value, list):
        return [*map(at_home, value)]
    ours = isinstance(value, str) and value.startswith("lightning_gen.")
    return HOMES.get(value.rpartition(".")[2], value) if ours else value


def restore(model: LightningModule, checkpoint: dict[str, Any]) -> None:
    """Give a model the weights of a checkpoint, and freeze it for evaluation."""
    model.on_load_checkpoint(checkpoint)
    model.load_state_dict(checkpoint["state_dict"], strict=model.strict_loading)
    model.freeze()


def build(kind: type[T], key: str, content: object) -> T:
    """An object of a class that a configuration names; a UserError where it may not stand there."""
    parser = ArgumentParser(exit_on_error=False)
    with variable("PYTHONSAFEPATH", "1"):  # a process that the parser starts imports nothing here
        parser.add_subclass_arguments(kind, key, required=True)
        config = parser.parse_object({key: content})
        check_part(config[key], kind, key)
        built: T = parser.instantiate(config)[key]
    return built


def model_class(class_path: object, path: Path) -> type[LightningModule]:
    """The class that a checkpoint names; a UserError where it is no LightningModule.

    Whatever else a stranger's checkpoint names is not called, and no module is imported that can
    hold no model, since some of them do things when they are.
    """
    try:
        kind = imported(class_path or "") if isinstance(class_path, str | None) else None
    except (ImportError, AttributeError, ValueError) as error:
        if refused := refusal(str(error)):
            raise UserError(f"{path} cannot be loaded: {refused}") from error
        raise UserError(
            f"{path} is of the model {class_path!r}, which cannot be imported. Run from the folder "
            "that has its file, or derive the model from one of lightning_gen.models."
        ) from error
    if not (isinstance(kind, type) and issubclass(kind, LightningModule)):
        raise UserError(
            f"{path} names {class_path!r} as its model, which is no LightningModule. Use a "
            "checkpoint that you trust."
        )
    return kind


class WholeCheckpoints(TorchCheckpointIO):
    """Writes a checkpoint whole or not at all, and keeps the ``last.ckpt`` before this one.

    A crash, also one of the machine, leaves ``last.ckpt`` or ``previous.ckpt`` as it was. Each
    tensor has a checksum, which loading compares. It also reads ``.safetensors``.
    """

    def save_checkpoint(
        self,
        checkpoint: dict[str, Any],
        path: str | Path,
        storage_options: Any | None = None,  # noqa: ANN401  (Lightning's)
    ) -> None:
        """Write it beside ``path`` first; a UserError where the disk is full."""
        path = Path(path)
        with draft(path) as unfinished:
            with unfinished.open("wb") as file:
                torch.save(checkpoint, file)
                file.flush()
                os.fsync(file.fileno())
            if path.name == LAST and path.is_file():
                path.replace(path.with_name(PREVIOUS))

    def load_checkpoint(self, path: str | Path, *where: Any, **how: Any) -> dict[str, Any]:  # noqa: ANN401
        """The content of a checkpoint, on the CPU where it is ``.safetensors``."""
        if Path(path).suffix == ENDING:
            return load_checkpoint(Path(path))
        return super().load_checkpoint(path, *where, **how)
