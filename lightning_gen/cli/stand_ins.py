"""Attributes that objects have for a while."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def stand_ins(*places: tuple[object, str, Any]) -> Iterator[None]:
    """Within, each of some objects has another attribute in the place of its class's."""
    for of, name, value in places:
        vars(of)[name] = value
    try:
        yield
    finally:
        for of, name, _ in places:
            vars(of).pop(name, None)
