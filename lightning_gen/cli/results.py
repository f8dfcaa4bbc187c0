"""What an evaluation or a prediction gives: a line on the screen, a file of codes."""

import os
from pathlib import Path

import numpy as np
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor


def report(trainer: Trainer) -> None:
    """Say the metrics of an evaluation, in nats per image where they are."""
    metrics = {k: float(v) for k, v in trainer.callback_metrics.items()}
    for stage, title in (("val", "Validation"), ("test", "Test")):
        values = {k.partition("/")[2]: v for k, v in metrics.items() if k.startswith(f"{stage}/")}
        loss = values.pop("loss", None)
        parts = ", ".join(f"{name} {value:.4g}" for name, value in values.items())
        if loss is not None:
            details = f" ({parts})" if parts else ""
            rank_zero_info(f"{title} loss {loss:.2f} nats per image{details}")


def write_codes(batches: list[Tensor], path: Path) -> None:
    """Write the codes of all batches as one array, whole or not at all."""
    draft = path.with_name(f".{os.getpid()}.{path.name}")
    np.savez(draft, codes=torch.cat(batches).float().numpy())
    draft.replace(path)
    rank_zero_info(f"Codes       {path}")
