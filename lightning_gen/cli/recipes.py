"""Arguments that the parser takes, and the class cannot: null, and a dataclass in another form."""

import inspect
from dataclasses import fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

from jsonargparse import Namespace

from lightning_gen.allowed import imported
from lightning_gen.cli.links import LINKS
from lightning_gen.cli.parser import BadArgumentsError


def check_recipes(part: Namespace | None, key: str) -> None:
    """Raise a BadArgumentsError where a class is given one of these."""
    arguments = part.get("init_args") if isinstance(part, Namespace) else None
    if part is None or not isinstance(arguments, Namespace):
        return
    accepted = inspect.signature(imported(part.class_path)).parameters
    for name, value in vars(arguments).items():
        argument = accepted.get(name)
        kind = argument and (get_origin(argument.annotation) or argument.annotation)
        needed = argument and argument.default is not None and name not in LINKS
        if argument and needed and value is None and not takes_null(argument.annotation):
            wanted = " or ".join(names_of(argument.annotation))
            raise BadArgumentsError(
                f"{key}.{name}: expected {wanted}, got null. Leave it out for the default."
            )
        no_class = isinstance(value, list | str | int | float)
        if isinstance(kind, type) and is_dataclass(kind) and no_class:
            names = ", ".join(field.name for field in fields(kind))
            raise BadArgumentsError(f"{key}.{name}: expected key: value of {names}, got {value!r}.")
        check_recipes(value, f"{key}.{name}")


def takes_null(annotation: Any) -> bool:  # noqa: ANN401  (a type of any form)
    """Whether None may stand where a type is asked for."""
    if get_origin(annotation) in (UnionType, Union):
        return NoneType in get_args(annotation)
    return not isinstance(get_origin(annotation) or annotation, type)


def names_of(annotation: Any) -> list[str]:  # noqa: ANN401
    """The names of the types that may stand where ``annotation`` does."""
    kinds = get_args(annotation) if get_origin(annotation) in (UnionType, Union) else [annotation]
    return [getattr(get_origin(kind) or kind, "__name__", str(kind)) for kind in kinds]
