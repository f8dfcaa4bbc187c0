"""Constructor arguments as plain values, so that a checkpoint loads with ``weights_only=True``."""

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from functools import partial, wraps
from inspect import BoundArguments, Parameter, Signature, currentframe, signature
from itertools import accumulate
from typing import Any, ClassVar, NamedTuple, Unpack, get_origin

import numpy as np
from lightning.pytorch.core.mixins.hparams_mixin import HyperparametersMixin

from lightning_gen.errors import UserError

Plain = str | int | float | bool | None | list["Plain"] | dict[str, "Plain"]

INSTANTIATOR = "lightning.pytorch.cli.instantiate_module"


def import_path(thing: Callable[..., object]) -> str:
    """``package.Name`` of a class or function, of the outermost package that offers it."""
    packages = [*accumulate(thing.__module__.split("."), "{}.{}".format)]
    offers = (p for p in packages if vars(sys.modules.get(p)).get(thing.__qualname__) is thing)
    return f"{next(offers, thing.__module__)}.{thing.__qualname__}"


def plain(value: object) -> Plain:
    """``value`` as nested str, int, float, bool, None, list and dict.

    A part becomes ``{"class_path": ..., "init_args": ...}``, the form that a YAML file uses. A
    UserError says that the value has no such form: a lambda, a class inside a function, an object
    that is no dataclass.
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


def keep_arguments(
    part: HyperparametersMixin, class_path: str, arguments: Mapping[str, Any]
) -> None:
    """Let a model or datamodule keep its class and its arguments, plain, in ``hparams``."""
    kept = {"_class_path": class_path, "_instantiator": INSTANTIATOR}
    part.save_hyperparameters(kept | dict(arguments), logger=False)


class KeepsArguments(HyperparametersMixin):
    """A model or datamodule whose constructor's arguments are kept in ``hparams``, plain.

    A subclass writes an ordinary constructor. What the outermost one was given is kept, with the
    defaults of all else that it takes, be it by ``**kwargs`` that it passes on to a parent:
    ``load_from_checkpoint`` and the command line build the same object again from them.

    Attributes:
        unkept: names of arguments that have no plain form, and without which it is not built again.
    """

    unkept: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, **options: Any) -> None:  # noqa: ANN401  (Python's)
        super().__init_subclass__(**options)
        if "__init__" in vars(cls):
            cls.__init__ = _keeping(cls.__init__)  # type: ignore[method-assign]


class _Call(NamedTuple):
    """What the constructors inside a constructor's call must know of it."""

    passed: tuple[Any, ...]  # arguments by position that none has named so far
    open: bool  # whether all so far take keywords that they do not name


def _keeping(construct: Callable[..., None]) -> Callable[..., None]:
    """A constructor that keeps its arguments: as the outermost one all, else what it adds."""
    own = signature(construct)

    @wraps(construct)
    def construct_and_keep(self: KeepsArguments, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        outer: _Call | None = vars(self).get("_call")
        try:
            bound = own.bind_partial(self, *args, **kwargs)
        except TypeError:
            construct(self, *args, **kwargs)  # says what does not fit
            raise
        names = {"_class_path": import_path(type(self)), "_instantiator": INSTANTIATOR}
        kept, vars(self)["_call"] = _kept(bound, len(args), outer)
        unkept = type(self).unkept
        plain_values = {k: plain(value) for k, value in kept.items() if k not in unkept}
        _keep(self, plain_values if outer else names | plain_values)
        try:
            construct(self, *args, **kwargs)
        finally:
            if outer:
                vars(self)["_call"] = outer
            else:
                del vars(self)["_call"]

    construct_and_keep.__signature__ = _signature(own)  # type: ignore[attr-defined]
    return construct_and_keep


def _keep(part: KeepsArguments, values: dict[str, Any]) -> None:
    """Keep arguments, in the outermost frame: Lightning compares them with what inner ones hold."""
    frame = currentframe()
    while frame is not None and frame.f_back is not None:
        frame = frame.f_back
    part.save_hyperparameters(values, logger=False, frame=frame)


def _kept(
    bound: BoundArguments, positions: int, outer: _Call | None
) -> tuple[dict[str, Any], _Call]:
    """The arguments of a call that a repetition of the outermost call must give.

    Of a constructor inside another one these are the defaults that are left to it, and what it
    names of the arguments by position, which come last of ``positions``; all else has been named
    outside, or is what the outer constructor decides.
    """
    parameters = [*bound.signature.parameters.values()][1:]  # without self
    kinds = {p.kind: p.name for p in parameters}
    rest = bound.arguments.get(kinds.get(Parameter.VAR_KEYWORD, ""), {})
    passed = bound.arguments.get(kinds.get(Parameter.VAR_POSITIONAL, ""), ())
    named = [p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    supplied = {p.name: bound.arguments[p.name] for p in named if p.name in bound.arguments}
    defaults = {
        p.name: p.default for p in named if p.name not in supplied and p.default is not p.empty
    }
    takes_more = Parameter.VAR_KEYWORD in kinds
    if outer is None:
        return defaults | supplied | rest, _Call(passed, takes_more)
    new = named[positions - len(outer.passed) : positions - len(passed)]
    kept = {p.name: supplied[p.name] for p in new}
    return kept | (defaults if outer.open else {}), _Call(passed, outer.open and takes_more)


def _signature(found: Signature) -> Signature:
    """The constructor's signature, without the type of keywords that it passes on.

    Of ``**parts: Unpack[Parts]`` the parser would know the types alone. Without it, the parser
    finds the arguments of the next class, with their defaults and their help.
    """
    parameters = [
        p.replace(annotation=Parameter.empty) if get_origin(p.annotation) is Unpack else p
        for p in found.parameters.values()
    ]
    return found.replace(parameters=parameters)


def _importable(part: Callable[..., object]) -> str:
    path = import_path(part)
    if "<" in path:  # <lambda>, <locals>
        raise UserError(
            f"{path} cannot be imported, so a checkpoint could not be loaded. Define it at the top "
            "level of a module. Use functools.partial, not a lambda."
        )
    return path


def short_names(keys: Iterable[str]) -> dict[str, str]:
    """The last part of each key of a configuration; the whole key where two would be the same."""
    last = {key: key.rpartition(".")[2] for key in keys}
    names = [*last.values()]
    return {key: name if names.count(name) == 1 else key for key, name in last.items()}
