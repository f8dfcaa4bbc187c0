"""What a file may name at a key: a class of the kind that stands there, and never a function.

The parser imports what a configuration or a checkpoint names, by the rule of ``allowed``, and would
also call functions that lie in an allowed module. This is asked between parsing and building.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from types import ModuleType, UnionType
from typing import Any, ForwardRef, TypeGuard, Union, get_args, get_origin, get_type_hints

from jsonargparse import Namespace

from lightning_gen.allowed import imported, refusal
from lightning_gen.errors import UserError


def check_part(value: object, annotation: object, key: str) -> None:
    """Raise a UserError where a value names no class, or none of the kind that its key expects.

    Classes are looked for anywhere in it, import paths where a callable may stand.

    Args:
        value: what the parser made of a file: namespaces, lists and plain values.
        annotation: the type of the key.
        key: its dotted name, for the message.
    """
    parts = vars(value) if isinstance(value, Namespace) else value
    if isinstance(parts, Mapping) and "class_path" in parts:
        if annotation in (Any, inspect.Parameter.empty):
            return  # the parser builds nothing there
        kind = class_for(parts["class_path"], annotation, key)
        given = parts.get("init_args") or {}
        accepted = parameters(kind)
        for name, argument in (vars(given) if isinstance(given, Namespace) else given).items():
            wanted = accepted[name].annotation if name in accepted else Any
            check_part(argument, wanted, f"{key}.{name}")
    elif isinstance(parts, Mapping):
        inner = [part for kind in members(annotation) for part in get_args(kind)[-1:]]
        kinds = [parameters(kind) for kind in members(annotation) if isinstance(kind, type)]
        for name, item in parts.items():
            of_field = [found[name].annotation for found in kinds if name in found]
            check_part(item, next(iter([*of_field, *inner]), Any), f"{key}.{name}")
    elif isinstance(parts, list | tuple):
        lists = [kind for kind in members(annotation) if not is_callable(kind)]
        inner = [part for kind in lists for part in get_args(kind) if part is not ...]
        for item in parts:
            check_part(item, Union[tuple(inner)] if inner else annotation, key)  # noqa: UP007
    elif inspect.isroutine(parts):
        class_for(f"{parts.__module__}.{parts.__qualname__}", annotation, key)
    elif isinstance(parts, str) and "." in parts and any(map(is_callable, members(annotation))):
        class_for(parts, annotation, key)


def class_for(path: object, annotation: object, key: str) -> type:
    """The class of this dotted name; a UserError where it is none, or the key expects another."""
    try:
        found = imported(path)
    except (ImportError, AttributeError, ValueError) as error:
        reason = refusal(str(error)) or f"there is no class {path}."
        raise UserError(f"{key}: {reason}") from error
    wanted = tuple(built(annotation))
    if not inspect.isclass(found):
        raise UserError(f"{key}: expected {in_words(wanted)}, got {path}, which is no class.")
    if not any(is_kind(found, kind) for kind in wanted):
        raise UserError(f"{key}: expected {in_words(wanted)}, got the class {path}.")
    return found


def in_words(wanted: tuple[type, ...]) -> str:
    """What is expected, for a message."""
    if not wanted:
        return "nothing from a file (a function is set in Python)"
    return "a class of " + " or ".join(dict.fromkeys(kind.__name__ for kind in wanted))


def is_kind(found: type, kind: type) -> bool:
    """Whether a class is of a kind; a protocol that cannot say so is taken at its word."""
    try:
        return issubclass(found, kind)
    except TypeError:
        return True


def members(annotation: object) -> Iterator[object]:
    """The types of a union, or the one type."""
    if get_origin(annotation) in (UnionType, Union):
        for part in get_args(annotation):
            yield from members(part)
    else:
        yield annotation


def built(annotation: object) -> Iterator[type]:
    """The classes whose objects, or what a factory returns, may stand where a type is asked for."""
    for kind in members(annotation):
        if is_callable(kind):
            for result in get_args(kind)[-1:]:
                yield from filter(is_of_torch_optim, members(result))
        elif get_origin(kind) is type:
            yield from (part for part in get_args(kind) if inspect.isclass(part))
        elif inspect.isclass(kind):
            yield kind
        elif get_origin(kind) is not None:
            for part in get_args(kind):
                yield from built(part)


def is_of_torch_optim(kind: object) -> TypeGuard[type]:
    """Whether a factory's result is an optimizer or a scheduler.

    A callable of another library that returns anything else is not built from a file.
    """
    return isinstance(kind, type) and kind.__module__.startswith("torch.optim.")


def is_callable(kind: object) -> bool:
    """Whether a function may stand where this type is asked for; also where it cannot be read."""
    if isinstance(kind, str | ForwardRef):
        return True
    return kind is Callable or get_origin(kind) is Callable or "Callable" in str(kind)


@cache
def parameters(kind: type) -> dict[str, inspect.Parameter]:
    """The arguments of a class and their types, those that it passes on to its parents included."""
    found: dict[str, inspect.Parameter] = {}
    for owner in kind.__mro__:
        construct = vars(owner).get("__init__")
        if not inspect.isfunction(construct):
            continue
        try:
            hints = get_type_hints(construct)
        except Exception:  # a type of a package that is not installed
            hints = {}
        own = [*inspect.signature(construct).parameters.values()][1:]  # without self
        named = [each for each in own if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)]
        for each in named:
            known = each.replace(annotation=hints.get(each.name, each.annotation))
            found.setdefault(each.name, known)
        if len(named) == len(own):  # nothing is passed on
            break
    return found


def buildable(*modules: ModuleType) -> list[type]:
    """The classes that can be built of those which the modules offer."""
    found = [getattr(module, name) for module in modules for name in module.__all__]
    return [part for part in found if inspect.isclass(part) and not inspect.isabstract(part)]
