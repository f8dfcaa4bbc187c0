"""A training that begins with the weights of another one, or leaves some as they are."""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities import rank_zero_info
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from lightning_gen.contracts import TrainsDiscriminator
from lightning_gen.errors import UserError, nearest
from lightning_gen.training.checkpoint import load_checkpoint
from lightning_gen.training.directory import RunDirectory

NAMED = 3
"""Of the tensors that did not fit so many are named."""


def begin(
    model: LightningModule,
    init_from: str | Path | None,
    init_strict: bool,
    frozen: str | Sequence[str] | None,
    *,
    resumes: object,
) -> None:
    """Prepare a model for a training, with other weights or frozen parts where these are asked for.

    One that ``resumes`` has the weights of its checkpoint.
    """
    if init_from is not None and not resumes:
        start_from(model, init_from, strict=init_strict)
    if frozen:
        freeze(model, frozen)


def weights_of(place: str | Path) -> tuple[Path, dict[str, Any]]:
    """The file that a run, a checkpoint or a ``.safetensors`` is meant by, and its weights by name.

    A UserError says that there is none, or that it is broken. Nothing in it is run.
    """
    path = Path(place).expanduser()
    if path.suffix == ".safetensors":
        try:
            return path, load_file(path)
        except (OSError, SafetensorError) as error:
            raise UserError(f"init_from: {path} cannot be read: {error}.") from error
    if path.suffix != ".ckpt" or not path.is_file():
        path = RunDirectory.of(path).best
    content = load_checkpoint(path)
    return path, content["state_dict"]


def start_from(model: LightningModule, place: str | Path, *, strict: bool = False) -> None:
    """Give a model what fits of the weights of another one, and say what that is.

    A tensor fits where one of the same name has the same shape. A UserError says that none does, or
    where it is ``strict``, that one does not.
    """
    path, weights = weights_of(place)
    own, given = _tensors(model.state_dict()), _tensors(weights)
    fits = [name for name in own if name in given and given[name].shape == own[name].shape]
    wrong = {
        "of another shape": [name for name in own if name in given and name not in fits],
        "new here": [name for name in own if name not in given],
        "not in this model": [name for name in given if name not in own],
    }

    def told(kind: str, names: Sequence[str]) -> str:
        words = [_with_shapes(own.get(name), given.get(name), name) for name in names[:NAMED]]
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        return f"{kind}: {', '.join(words)}{more}"

    faults = [told(kind, names) for kind, names in wrong.items() if names]
    if not fits or (strict and faults):
        raise UserError(
            f"init_from: the weights of {path} do not fit {type(model).__name__}. "
            f"{'; '.join(faults).capitalize()}. Pass another run"
            + (", or leave --init_strict out." if fits else ".")
        )
    model.load_state_dict({name: given[name] for name in fits}, strict=False)
    _begin_anew(model, fits)
    numbers = sum(own[name].numel() for name in fits) / sum(map(torch.numel, own.values()))
    rank_zero_info(
        f"{len(fits)} of {len(own)} tensors begin with the weights of {path}, {numbers:.1%} of all "
        "numbers"
    )
    for fault in faults:
        rank_zero_info(fault.capitalize())


def _tensors(weights: Mapping[str, Any]) -> dict[str, Tensor]:
    """The tensors of weights, without what a module keeps beside them, such as conditions seen."""
    return {
        name: value
        for name, value in weights.items()
        if isinstance(value, Tensor) and not name.endswith("_extra_state")
    }


def _with_shapes(own: Tensor | None, given: Tensor | None, name: str) -> str:
    if own is None or given is None:
        return name
    here, there = ("x".join(map(str, part.shape)) for part in (own, given))
    return f"{name} ({here} here, {there} there)"


def _begin_anew(model: LightningModule, loaded: Iterable[str]) -> None:
    """Let parts that begin at the data do so, where their weights were not loaded."""
    taken = {*loaded}
    for name, module in model.named_modules():
        if hasattr(module, "started"):
            module.started = all(f"{name}.{key}" in taken for key in module.state_dict())


def freeze(model: LightningModule, names: str | Sequence[str]) -> None:
    """Leave parts of a model as they are in its training; their normalisation does not move either.

    ``names`` are those of modules or parameters, such as ``encoder`` or ``decoder.0``. A UserError
    says that there is none of this name, or that nothing is left to train.
    """
    wanted = [names] if isinstance(names, str) else [*names]
    frozen: dict[str, Tensor] = {}
    for name in wanted:
        found = _named(name, model.named_parameters())
        if not found:
            offered = [part for part, _ in model.named_modules() if part]
            raise UserError(f"freeze: {type(model).__name__} has no {name}{nearest(name, offered)}")
        frozen |= found
        for module in _named(name, model.named_modules()).values():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.SyncBatchNorm):
                module.eval()
                warnings.filterwarnings(
                    "ignore", r"Found \d+ module\(s\) in eval mode at the start"
                )
    for parameter in frozen.values():
        parameter.requires_grad_(False)
    left = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    judges = [name for name in left if name.split(".")[0] == "discriminator"]
    game = isinstance(model, TrainsDiscriminator)
    if not left or (game and len(judges) in (0, len(left))):
        what = "for one of the players" if left else f"beside {', '.join(wanted)}"
        raise UserError(f"freeze: nothing is left to train {what}. Name fewer.")
    numbers = sum(parameter.numel() for parameter in frozen.values())
    rank_zero_info(f"{numbers:,} parameters are frozen: {', '.join(wanted)}")


def _named(name: str, parts: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    return {key: part for key, part in parts if key == name or key.startswith(f"{name}.")}
