"""Whether images are held on the accelerator."""

from typing import Literal, Protocol, runtime_checkable

import torch
from lightning.pytorch.utilities import rank_zero_info

from lightning_gen.data.loader import Source
from lightning_gen.data.sources import Subset
from lightning_gen.errors import UserError

ImagesOn = Literal["auto", "cpu", "accelerator"]
"""Where images are held: "auto" is the accelerator if they take at most half of what is free."""


@runtime_checkable
class Movable(Source, Protocol):
    """A source that can be held on any device."""

    @property
    def num_bytes(self) -> int:
        """Memory that it takes there."""

    def to(self, device: torch.device) -> Source:
        """The same images there."""


def placed(source: Source, accelerator: torch.device, images_on: ImagesOn, split: str) -> Source:
    """The source where it is to be held; a line says where, if there is a choice.

    Args:
        source: the images.
        accelerator: what the training runs on, which may be the processor.
        images_on: what the user wants.
        split: what to call the images.

    Raises:
        UserError: the user wants them on the accelerator, and they do not fit or are not decoded.
    """
    if isinstance(source, Subset) and isinstance(source.source, Movable):
        whole = placed(source.source, accelerator, images_on, split)
        return Subset(whole, source.indices.to(whole.device))
    if not isinstance(source, Movable):
        if images_on == "accelerator" and accelerator.type != "cpu":
            raise UserError(
                f"data.images_on is accelerator, expected a {split} split of decoded images, got "
                "one that is made a batch at a time. Set data.images_on to auto."
            )
        return source
    device = _device_for(source, accelerator, images_on, split)
    return source if source.device == device else source.to(device)


def _device_for(
    source: Movable, accelerator: torch.device, images_on: ImagesOn, split: str
) -> torch.device:
    cpu = torch.device("cpu")
    wanted = images_on == "accelerator"
    if accelerator.type == "cpu" or images_on == "cpu":
        return cpu
    if accelerator.type != "cuda":  # whose free memory is not known
        return accelerator if wanted else cpu
    taken, (free, _) = source.num_bytes, torch.cuda.mem_get_info(accelerator)
    sizes = f"{taken / 1e6:,.0f} MB, and {free / 1e6:,.0f} MB are free on {accelerator}"
    if wanted and taken > free:
        raise UserError(
            f"data.images_on is accelerator, and the {split} images do not fit: they take {sizes}. "
            "Set it to auto or cpu."
        )
    fits = wanted or taken <= free / 2
    where = accelerator if fits else "the processor's side"
    rank_zero_info(f"The {split} images are held on {where}: they take {sizes}.")
    return accelerator if fits else cpu
