"""Whether the images are those that a model was trained on, so that its run goes on with them."""

import os
from typing import TYPE_CHECKING, Any

from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn

from lightning_gen.errors import UserError

if TYPE_CHECKING:
    from lightning_gen.data.base import ImageDataModule

OTHERS = (
    "the data are others than when the model was trained: images of the {} split may have been "
    "trained on. The run's config.yaml and splits.csv name those of then."
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
        "data.value_range": data.hparams.get("value_range"),
        "training images": len(train),
        "validation images": len(val) if val else 0,
        "digest of the images": train.digest + (val.digest if val else ""),
    }


def go_on(data: "ImageDataModule", state: dict[str, Any]) -> None:
    """Take the seed of the order from a checkpoint; warn of a validation on other images.

    Raises:
        UserError: training is to go on, and that was on other images.
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
