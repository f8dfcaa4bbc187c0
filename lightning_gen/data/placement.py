"""What a trainer asks of a split: to be where its accelerator is, and to know its classes."""

import torch
from lightning.pytorch.utilities import rank_zero_info

from lightning_gen.contracts import NO_CLASS, Conditional
from lightning_gen.data.interfaces import ImagesOn, Movable, Source
from lightning_gen.data.loader import CPU, Split
from lightning_gen.errors import UserError


def place(
    splits: dict[str, Split], name: str, accelerator: torch.device, images_on: ImagesOn
) -> None:
    """Hold the images of a split where they are to be; other splits of their source follow.

    Args:
        splits: all splits, which are exchanged.
        name: the one that is asked for.
        accelerator: what the training runs on, which may be the processor.
        images_on: what the user wants.

    Raises:
        UserError: the user wants them on the accelerator, and they do not fit or are not decoded.
    """
    source = splits[name].source
    moved = placed(source, accelerator, images_on, name)
    for other, its in splits.items():
        if its.source is source:
            splits[other] = Split(moved, its.indices.to(moved.device), accelerator)


def placed(source: Source, accelerator: torch.device, images_on: ImagesOn, split: str) -> Source:
    """The source where it is to be held; a line says where, if there is a choice."""
    if not isinstance(source, Movable):
        if images_on == "accelerator" and accelerator != CPU:
            raise UserError(
                f"data.images_on is accelerator, expected a {split} split of decoded images, got "
                "one that is made a batch at a time. Set data.images_on to auto."
            )
        return source
    moves = images_on == "accelerator"
    if accelerator.type == "cuda" and images_on != "cpu":
        taken, (free, _) = source.num_bytes, torch.cuda.mem_get_info(accelerator)
        sizes = f"{taken / 1e6:,.0f} MB, and {free / 1e6:,.0f} MB are free on {accelerator}"
        if moves and taken > free:
            raise UserError(
                f"data.images_on is accelerator, and the {split} images do not fit: they take "
                f"{sizes}. Set it to auto or cpu."
            )
        moves = moves or taken <= free / 2
        where = accelerator if moves else "the processor's side"
        rank_zero_info(f"The {split} images are held on {where}: they take {sizes}.")
    device = accelerator if moves else CPU
    return source if source.device == device else source.to(device)


def check_labels(split: Split, name: str, model: object) -> None:
    """Raise a UserError where ``model`` must know the class of each image of a split.

    That is a conditional model, or one that has a true ``needs_labels``.
    """
    labels = split.labels
    if labels is None or not getattr(model, "needs_labels", isinstance(model, Conditional)):
        return
    unknown = int((labels == NO_CLASS).sum())
    if unknown > 0:
        raise UserError(
            f"{type(model).__name__} must know the class of each image, and {unknown} of the "
            f"{len(labels)} {name} images lie in no folder of a class of train. Put them into "
            "folders of these names, or leave the test out (--test_after_fit false)."
        )
