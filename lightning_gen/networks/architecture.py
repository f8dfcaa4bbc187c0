"""What every architecture offers, and what the recipes of networks share."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from torch import nn

from lightning_gen.contracts import ImageShape
from lightning_gen.errors import UserError

Number = int | float


@dataclass(frozen=True)
class Architecture(ABC):
    """A recipe for an encoder and the decoder that mirrors it."""

    @abstractmethod
    def encoder(self, image_shape: ImageShape, out_features: int) -> nn.Module:
        """A module from images [N, C, H, W] to features [N, out_features]."""

    @abstractmethod
    def decoder(
        self, image_shape: ImageShape, in_features: int, params_per_channel: int
    ) -> nn.Module:
        """A module from codes [N, in_features] to raw parameters [N, P * C, H, W]."""


def check_widths(
    owner: object, widths: Sequence[int], fewest: int = 1, argument: str = "widths"
) -> None:
    """Raise a UserError unless ``widths`` holds positive numbers, ``fewest`` of them or more."""
    if len(widths) < fewest or min(widths, default=1) < 1:
        raise UserError(
            f"{type(owner).__name__}.{argument} lists one positive number a layer, "
            f"got {list(widths)}. Pass for instance [32, 64]."
        )


def check_ranges(recipe: Any, ranges: Mapping[str, tuple[Number, Number]]) -> None:  # noqa: ANN401
    """Raise a UserError unless each field of a dataclass is in its range.

    A range is the least value and what the field must stay below.
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


def layer(kind: type[nn.Module], *arguments: int) -> nn.Module:
    """An activation, or with a number of channels a normalization; a UserError if it is neither."""
    try:
        if kind.forward is nn.Module.forward:
            raise TypeError("it computes nothing of a tensor")
        return kind(*arguments)
    except (TypeError, ValueError) as error:
        built = f"{kind.__name__}({', '.join(map(str, arguments))})"
        raise UserError(
            f"{built} cannot be built: {error}. An activation is a class such as torch.nn.ReLU, "
            "which needs no arguments, a normalization one such as torch.nn.BatchNorm2d, which "
            "needs the number of channels."
        ) from error


def layer_end(
    activation: type[nn.Module], normalization: type[nn.Module] | None, channels: int
) -> list[nn.Module]:
    """The normalization, if there is one, and the activation behind a layer of so many channels."""
    norm = [] if normalization is None else [layer(normalization, channels)]
    return [*norm, layer(activation)]
