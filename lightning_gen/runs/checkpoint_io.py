"""Writes the checkpoints of a run."""

import os
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO

from lightning_gen.atomic import draft
from lightning_gen.runs.directory import LAST, PREVIOUS


class WholeCheckpoints(TorchCheckpointIO):
    """Writes a checkpoint whole or not at all, and keeps the ``last.ckpt`` before this one.

    A crash, also one of the machine, leaves ``last.ckpt`` or ``previous.ckpt`` as it was. Each
    tensor has a checksum, which loading compares.
    """

    def save_checkpoint(
        self,
        checkpoint: dict[str, Any],
        path: str | Path,
        storage_options: Any | None = None,  # noqa: ANN401  (Lightning's)
    ) -> None:
        """Write it beside ``path`` first.

        Raises:
            UserError: the disk is full.
        """
        path = Path(path)
        with draft(path) as unfinished:
            with unfinished.open("wb") as file:
                torch.save(checkpoint, file)
                file.flush()
                os.fsync(file.fileno())
            if path.name == LAST and path.is_file():
                path.replace(path.with_name(PREVIOUS))
