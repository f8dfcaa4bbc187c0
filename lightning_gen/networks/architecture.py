"""What every architecture offers: a matched encoder and decoder for any image shape."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from lightning_gen.contracts import ImageShape
from lightning_gen.errors import UserError


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
