"""Whether a model can go on with a checkpoint, and how two configurations differ."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from lightning_gen.errors import UserError
from lightning_gen.hyperparameters import import_path, plain
from lightning_gen.parts import parameters
from lightning_gen.training.checkpoint import load_checkpoint

NOTHING: tuple[object, ...] = ({}, None)
"""What the arguments of a class without any are, and those of one that is named alone."""


def check_same_model(model: LightningModule, path: Path) -> None:
    """Raise a UserError where a model cannot go on with a checkpoint.

    It is none, was trained with other arguments than ``model``, or holds other weights.
    """
    checkpoint = load_checkpoint(path)
    kept = checkpoint.get("hyper_parameters", {})
    asked = {key: canonical(value) for key, value in model.hparams.items() if key in kept}
    for key, old, new in differences({key: canonical(kept[key]) for key in asked}, asked):
        raise UserError(
            f"the checkpoint was trained with {key} {old}, and this run asks for {new}. "
            "Ask for the same, or start without --ckpt_path."
        )
    if not model.strict_loading:
        return
    model.on_load_checkpoint(checkpoint)
    found = shapes(checkpoint["state_dict"])
    for name, old, new in differences(found, shapes(model.state_dict())):
        raise UserError(
            f"{path} does not fit {type(model).__name__}: its weights {name} are {old or 'missing'}"
            f", expected {new or 'none'}. Pass a checkpoint of the same model."
        )


def shapes(weights: Mapping[str, Any]) -> dict[str, object]:
    """The shape of each tensor, such as 8x784, or its type where it is none.

    What a module keeps beside its tensors has any shape.
    """
    return {
        name: "x".join(map(str, value.shape)) or "a number"
        if isinstance(value, Tensor)
        else type(value).__name__
        for name, value in weights.items()
        if not name.endswith("_extra_state")
    }


def differences(old: object, new: object, key: str = "") -> Iterator[tuple[str, object, object]]:
    """Each option, by its dotted name, whose values in two configurations differ, and both."""
    if isinstance(old, dict) and isinstance(new, dict):
        for word in dict.fromkeys([*old, *new]):
            inner = key if word == "init_args" else f"{key}.{word}".lstrip("._")
            yield from differences(old.get(word), new.get(word), inner)
    elif old != new and not (old in NOTHING and new in NOTHING):
        yield key, old, new


def canonical(value: object) -> Any:  # noqa: ANN401  (what it was)
    """A configuration in the form that it has in ``config.yaml``, whoever wrote it, and when.

    A class has the name of the package that offers it, and with arguments it has all of them, those
    that it did not have then at their defaults. Nothing is imported.
    """
    if isinstance(value, list):
        return [canonical(item) for item in value]
    kind: Any = known_class(value.get("class_path") if isinstance(value, dict) else value)
    if isinstance(value, dict) and kind is None:
        return {key: canonical(item) for key, item in value.items()}
    if isinstance(value, dict) or (kind and issubclass(kind, Optimizer | LRScheduler)):
        given = value.get("init_args") if isinstance(value, dict) else None
        if not isinstance(given, dict):
            given = {}
        arguments: dict[str, Any] = {}
        for name, parameter in parameters(kind).items():
            if name not in given and parameter.default is not parameter.empty:
                with suppress(UserError):  # a default that no file can hold
                    arguments[name] = canonical(plain(parameter.default))
        return {"class_path": import_path(kind), "init_args": arguments | canonical(given)}
    return value if kind is None else import_path(kind)


def known_class(path: object) -> type | None:
    """The class of this dotted name, where its module has been imported."""
    module, _, name = path.rpartition(".") if isinstance(path, str) else ("", "", "")
    kind = vars(sys.modules[module]).get(name) if module in sys.modules else None
    return kind if isinstance(kind, type) else None
