"""Constructor arguments as plain values, so that a checkpoint loads with ``weights_only=True``."""

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from functools import partial, wraps
from inspect import signature
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


class KeepsArguments(HyperparametersMixin):
    """A model or datamodule whose constructor's arguments are kept in ``hparams``, plain.

    A subclass writes an ordinary constructor. What the outermost one was given is kept, with the
    defaults of all else, those of the classes that it passes ``*args`` and ``**kwargs`` on to
    included: ``load_from_checkpoint`` and the command line build the same object again from them.
    """

    def __init_subclass__(cls, **options: Any) -> None:  # noqa: ANN401  (Python's)
        super().__init_subclass__(**options)
        if "__init__" in vars(cls):
            cls.__init__ = _keeping(cls.__init__)  # type: ignore[method-assign]


def _keeping(construct: Callable[..., None]) -> Callable[..., None]:
    """A constructor that keeps its arguments, unless it was called by that of a subclass."""

    @wraps(construct)
    def construct_and_keep(self: KeepsArguments, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        if "_under_construction" in vars(self):
            construct(self, *args, **kwargs)
            return
        vars(self)["_under_construction"] = True
        try:
            given = arguments(type(self), args, kwargs)
            kept = {name: plain(value) for name, value in given.items()}
            path = import_path(type(self))
            self.save_hyperparameters(
                {"_class_path": path, "_instantiator": INSTANTIATOR, **kept}, logger=False
            )
            construct(self, *args, **kwargs)
        finally:
            del vars(self)["_under_construction"]

    return construct_and_keep


def arguments(kind: type, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a constructor by their names, with its defaults.

    What it takes by ``*args`` and ``**kwargs`` is looked up in the next class that has a
    constructor, and so on. Where a call does not fit, the constructor itself says so.
    """
    found: dict[str, Any] = {}
    for owner in kind.__mro__:
        if "__init__" not in vars(owner):
            continue
        parameters = list(signature(vars(owner)["__init__"]).parameters.values())[1:]
        named = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
        given = dict(zip((p.name for p in named), args, strict=False))
        args = args[len(named) :]
        for p in parameters:
            if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD):
                continue
            if p.name in kwargs:
                given[p.name] = kwargs[p.name]
            elif p.default is not p.empty:
                given.setdefault(p.name, p.default)
        kwargs = {name: value for name, value in kwargs.items() if name not in given}
        found = given | found
        if not any(p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in parameters):
            break
    return found


def _importable(part: Callable[..., object]) -> str:
    path = import_path(part)
    if "<" in path:  # <lambda>, <locals>
        raise UserError(
            f"{path} cannot be imported, so a checkpoint could not be loaded. Define it at the top "
            "level of a module. Use functools.partial, not a lambda."
        )
    return path
