"""Constructor arguments as plain values, so that a checkpoint loads with ``weights_only=True``."""

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from functools import partial
from typing import Any

import numpy as np
from lightning.pytorch.core.mixins.hparams_mixin import HyperparametersMixin

from lightning_gen.errors import UserError

Plain = str | int | float | bool | None | list["Plain"] | dict[str, "Plain"]

INSTANTIATOR = "lightning.pytorch.cli.instantiate_module"


def import_path(thing: Callable[..., object]) -> str:
    """``package.module.Name`` of a class or function."""
    return f"{thing.__module__}.{thing.__qualname__}"


def plain(value: object) -> Plain:
    """``value`` as nested str, int, float, bool, None, list and dict.

    A part becomes ``{"class_path": ..., "init_args": ...}``, the form that a YAML file uses.

    Raises:
        UserError: the value has no such form (a lambda, a class inside a function, an object that
            is no dataclass).
    """
    if isinstance(value, np.generic):
        return plain(value.item())
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, type):
        return _importable(value)
    if is_dataclass(value):
        arguments = {field.name: plain(getattr(value, field.name)) for field in fields(value)}
        return {"class_path": _importable(type(value)), "init_args": arguments}
    if isinstance(value, partial):
        # The parser hands optimizers over as partial(build, ..., the class, **arguments).
        factory = next(
            (part for part in reversed(value.args) if isinstance(part, type)), value.func
        )
        return {"class_path": _importable(factory), "init_args": plain(value.keywords)}
    raise UserError(
        f"a hyperparameter must be a plain value, a dataclass, a class or a functools.partial of a "
        f"class to be kept in a checkpoint, got {value!r}. Use functools.partial, not a lambda."
    )


def remember(module: HyperparametersMixin, arguments: Mapping[str, Any]) -> None:
    """Keep the constructor's ``arguments`` (its ``locals()``) in ``module.hparams``, plain.

    ``module.load_from_checkpoint`` and the command line build the same object again from them.
    """
    given = {k: plain(v) for k, v in arguments.items() if k != "self" and not k.startswith("__")}
    path = import_path(type(module))
    module.save_hyperparameters(
        {"_class_path": path, "_instantiator": INSTANTIATOR, **given}, logger=False
    )


def _importable(part: Callable[..., object]) -> str:
    path = import_path(part)
    if "<" in path:  # <lambda>, <locals>
        raise UserError(
            f"{path} cannot be imported, so a checkpoint could not be loaded. Define it at the top "
            "level of a module. Use functools.partial, not a lambda."
        )
    return path
