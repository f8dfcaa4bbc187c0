"""Arguments that are a dataclass, which the parser takes in any form."""

import inspect
from dataclasses import fields, is_dataclass

from jsonargparse import Namespace

from lightning_gen.allowed import imported
from lightning_gen.cli.parser import BadArgumentsError


def check_recipes(part: Namespace | None, key: str) -> None:
    """Raise a BadArgumentsError where a class is given a value for a dataclass of its own."""
    arguments = part.get("init_args") if isinstance(part, Namespace) else None
    if part is None or not isinstance(arguments, Namespace):
        return
    accepted = inspect.signature(imported(part.class_path)).parameters
    for name, value in vars(arguments).items():
        kind = accepted[name].annotation if name in accepted else None
        if isinstance(kind, type) and is_dataclass(kind) and isinstance(value, list | str | int):
            names = ", ".join(field.name for field in fields(kind))
            raise BadArgumentsError(f"{key}.{name}: expected key: value of {names}, got {value!r}.")
        check_recipes(value, f"{key}.{name}")
