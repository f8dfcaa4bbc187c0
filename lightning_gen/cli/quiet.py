"""Lets through what a user can act on, and not the rest of what the libraries say."""

import logging
import warnings

NOISE = ("💡 Tip", "TPU available", "Seed set to", "`Trainer.fit` stopped", "GPU available: False")


def install() -> None:
    """Filter Lightning's notices; our own lines go through the same logger."""
    for name in ("lightning.pytorch.utilities.rank_zero", "lightning.fabric.utilities.rank_zero",
                 "lightning.fabric.utilities.seed"):
        logging.getLogger(name).addFilter(_useful)
    warnings.filterwarnings("ignore", message=r".*isinstance\(treespec, LeafSpec\)")
    warnings.filterwarnings("ignore", message="The number of training batches .* is smaller than")


def _useful(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith(NOISE)
