"""Pictures that are yet to be drawn."""

import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from lightning_gen.atomic import draft
from lightning_gen.errors import UserError
from lightning_gen.figures import Pixels

Drawing = Callable[[], Pixels]
"""Makes a picture of what it holds; one that can be pickled is drawn beside the training."""


def draw_into(drawing: Drawing, path: Path) -> str | None:
    """Draw a picture, and write it as a PNG.

    Returns:
        What a UserError of the drawing says, of images that do not suffice for it; else None.

    Raises:
        UserError: the disk is full.
    """
    try:
        image = Image.fromarray(drawing())
    except UserError as error:
        return str(error)
    write_png(image, path)
    return None


def write_png(image: Image.Image, path: Path) -> None:
    """Write a PNG that is never seen half written, and the folders above it."""
    with draft(path) as unfinished:
        image.save(unfinished, format="PNG")


def pickled(drawing: Drawing) -> bytes:
    """A drawing in bytes, its tensors as arrays: what draws it may have no GPU."""
    file = io.BytesIO()
    _Pickler(file, pickle.HIGHEST_PROTOCOL).dump(drawing)
    return file.getvalue()


class _Pickler(pickle.Pickler):
    def reducer_override(self, obj: Any) -> Any:  # noqa: ANN401  (pickle's)
        if not isinstance(obj, Tensor):
            return NotImplemented
        tensor = obj.detach().cpu()
        array = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
        return torch.from_numpy, (array,)


def draw_pickled(drawing: bytes, path: Path) -> str | None:
    """:func:`draw_into` of what :func:`pickled` gave."""
    return draw_into(pickle.loads(drawing), path)
