"""What Lightning and others say in a run that helps nobody."""

import logging
import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

NOISE = (
    "💡 Tip",
    "TPU available",
    "GPU available: False",
    "Seed set to",
    "`Trainer.fit` stopped",
    "Restoring states from",
    "Loaded model weights from",
    "Found current_model_state in the checkpoint",
    "Using bfloat16 Automatic Mixed Precision",
)
WARNINGS = (
    r"Image size \(\d+ pixels\) exceeds limit",  # a large JPEG is decoded at a fraction of it
    r"Glyph \d+ .* missing from",  # a picture shows a box
    r".*isinstance\(treespec, LeafSpec\)",
    "The number of training batches .* is smaller than",
    r"`ModelCheckpoint\(.*could not find the monitored key",  # before the first validation
    "Be aware that when using `ckpt_path`, callbacks used to create the checkpoint",
    "You're using the WeightAveraging callback, but loading a checkpoint outside",
    "The dirpath has changed from .*best_model_path",
    "Checkpoint directory .* exists and is not empty",
    "Using ModelCheckpoint with manual optimization and every_n_train_steps",
)
OUTSIDE_SLURM = "The `srun` command is available on your system but is not used"
LOGGERS = (
    "lightning.pytorch.utilities.rank_zero",
    "lightning.fabric.utilities.rank_zero",
    "lightning.fabric.utilities.seed",
)


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Filter Lightning's notices; our own lines go through the same logger."""
    loggers = [logging.getLogger(name) for name in LOGGERS]
    for logger in loggers:
        logger.addFilter(_useful)
    try:
        with warnings.catch_warnings():
            for message in WARNINGS:
                warnings.filterwarnings("ignore", message)
            if "SLURM_JOB_ID" not in os.environ:  # in a job it is worth reading
                warnings.filterwarnings("ignore", OUTSIDE_SLURM)
            yield
    finally:
        for logger in loggers:
            logger.removeFilter(_useful)


def _useful(record: logging.LogRecord) -> bool:
    message = re.sub(r"\A\[rank: \d+\] ", "", record.getMessage())
    return not message.startswith(NOISE)
