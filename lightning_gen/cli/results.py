"""What a run says on the screen, and the file of codes that a prediction writes."""

from pathlib import Path

import numpy as np
import torch
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor

from lightning_gen.atomic import draft
from lightning_gen.cli.links import image_shape
from lightning_gen.runs import RunDirectory


def announce(
    model: LightningModule, data: LightningDataModule, directory: RunDirectory | None
) -> None:
    """Say what is about to be trained."""
    parameters = sum(p.numel() for p in model.parameters())
    shape = "x".join(str(n) for n in image_shape(data))
    place = f", run {directory.path}" if directory else ""
    rank_zero_info(
        f"{type(model).__name__} of {parameters:,} parameters "
        f"on {type(data).__name__} ({shape}){place}"
    )


def list_files(directory: RunDirectory, checkpoint: str | None) -> None:
    """Say where everything is."""
    rank_zero_info(f"Pictures    {directory.images}")
    rank_zero_info(f"Metrics     {directory.metrics}")
    rank_zero_info(f"Checkpoint  {checkpoint or 'none was saved'}")


def report(trainer: Trainer) -> None:
    """Say the metrics of an evaluation; a ``loss`` is in nats per image, and a GAN has none."""
    metrics = {k: float(v) for k, v in trainer.callback_metrics.items()}
    for stage, title in (("val", "Validation"), ("test", "Test")):
        values = {k.partition("/")[2]: v for k, v in metrics.items() if k.startswith(f"{stage}/")}
        loss = values.pop("loss", None)
        parts = ", ".join(f"{name} {value:.4g}" for name, value in values.items())
        if loss is not None:
            details = f" ({parts})" if parts else ""
            rank_zero_info(f"{title} loss {loss:.2f} nats per image{details}")
        elif parts:
            rank_zero_info(f"{title} {parts}")


def write_codes(batches: list[Tensor], path: Path) -> None:
    """Write the codes of all batches as one array, whole or not at all."""
    with draft(path) as unfinished:
        np.savez(unfinished, codes=torch.cat(batches).float().numpy())
    rank_zero_info(f"Codes       {path}")
