"""What a trainer asks of the data: to be where its accelerator is, and what a checkpoint knows."""

import os
from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn

from lightning_gen.contracts import NO_CLASS, Conditional
from lightning_gen.data.interfaces import ImagesOn, Movable, Source
from lightning_gen.data.loader import CPU, Split
from lightning_gen.errors import UserError

if TYPE_CHECKING:
    from lightning_gen.data.base import ImageDataModule

OTHERS = (
    "the data are others than when the model was trained: images of the {} split may have been "
    "trained on. The run's config.yaml and splits.csv name those of then."
)


def placed(source: Source, accelerator: torch.device, images_on: ImagesOn, split: str) -> Source:
    """The source where it is to be held; a line says where, if there is a choice.

    A UserError says that it is to be held on the accelerator, and does not fit or is not decoded.
    """
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


def fingerprint(data: "ImageDataModule") -> dict[str, Any]:
    """What is trained on, in plain values; nothing where no training images were loaded."""
    train, val = (data.splits.get(name) for name in ("train", "val"))
    if train is None:
        return {}
    return {
        "dataset": type(data).__name__,
        "image shape": [*data.image_shape],
        "data.binarize": data.binarize,
        "data.value_range": data.info.value_range and [*data.info.value_range],
        "training images": len(train),
        "validation images": len(val) if val else 0,
        "digest of the images": train.digest + (val.digest if val else ""),
    }


def go_on(data: "ImageDataModule", state: dict[str, Any]) -> None:
    """Take the seed of the order from a checkpoint; warn of a validation on other images.

    A UserError says that training is to go on, and that was on other images.
    """
    now = fingerprint(data)
    changed = [
        f"{name} {value!r} in the checkpoint and {now.get(name)!r} now"
        for name, value in state.get("trained_on", {}).items()
        if value != now.get(name)
    ]
    if data.trainer is None or data.trainer.state.fn != TrainerFn.FITTING:
        if changed and now:
            rank_zero_warn(OTHERS.format("validation"))
        return
    if changed:
        raise UserError(
            f"the checkpoint was trained on other data: {', '.join(changed)}. Go on with the "
            "same files and data options, or start a new run."
        )
    data.order_seed = state["order_seed"]
    given = os.environ.get("PL_GLOBAL_SEED")
    if given is not None and data.order_seed not in (None, int(given)):
        rank_zero_info(
            f"The run goes on with the order and the random numbers of seed {data.order_seed}"
            f"; seed {given} is not used."
        )
