"""The check that the recipes of parts share."""

import math
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from lightning_gen.errors import UserError

Number = int | float


def check_ranges(recipe: Any, ranges: Mapping[str, tuple[Number, Number]]) -> None:  # noqa: ANN401
    """Raise a UserError unless each field of a dataclass is in its range.

    Args:
        recipe: the dataclass.
        ranges: by the name of the field, its least value and what it must stay below.
    """
    defaults = {field.name: field.default for field in fields(recipe)}
    for name, (least, above) in ranges.items():
        value = getattr(recipe, name)
        if not least <= value < above:
            limits = f"at least {least}" + (f" and below {above}" if above < math.inf else "")
            raise UserError(
                f"{type(recipe).__name__}.{name} is {limits}, got {value}. "
                f"Set it to its default {defaults[name]}."
            )
