"""What a run says on the screen, and the file of codes that a prediction writes."""

from pathlib import Path

import numpy as np
import torch
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor

from lightning_gen import __version__
from lightning_gen.atomic import draft
from lightning_gen.callbacks import Evaluation
from lightning_gen.callbacks.evaluation import Card
from lightning_gen.cli.links import image_shape
from lightning_gen.cli.record import device_names
from lightning_gen.runs import RunDirectory
from lightning_gen.runs.scores import in_words, write_scores


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


def report(trainer: Trainer, directory: Path | None, checkpoint: str | None) -> None:
    """Say the metrics of an evaluation, and keep the cards of its scores in the run's directory.

    A ``loss`` is in nats per image, and a GAN has none.

    Args:
        trainer: after ``validate`` or ``test``.
        directory: the run's; None where the checkpoint lies in none.
        checkpoint: the file that was evaluated; None for the weights at hand.
    """
    cards = scores(trainer)
    metrics = {k: float(v) for k, v in trainer.callback_metrics.items()}
    for stage, title in (("val", "Validation"), ("test", "Test")):
        values = {k.partition("/")[2]: v for k, v in metrics.items() if k.startswith(f"{stage}/")}
        loss = values.pop("loss", None)
        parts = ", ".join(
            f"{name} {value:.4g}" for name, value in values.items() if name not in cards
        )
        if loss is not None:
            details = f" ({parts})" if parts else ""
            rank_zero_info(f"{title} loss {loss:.2f} nats per image{details}")
        elif parts:
            rank_zero_info(f"{title} {parts}")
    for line in in_words(cards):
        rank_zero_info(line)
    if cards and directory is not None and trainer.is_global_zero:
        about = {
            "checkpoint": checkpoint and Path(checkpoint).name,
            "device": device_names(trainer)[0],
            "lightning_gen": __version__,
        }
        write_scores(directory, cards, about)


def scores(trainer: Trainer) -> dict[str, Card]:
    """The cards of all evaluations."""
    evaluations = [each for each in trainer.callbacks if isinstance(each, Evaluation)]  # type: ignore[attr-defined]
    return {name: card for evaluation in evaluations for name, card in evaluation.cards.items()}


def write_codes(batches: list[Tensor], path: Path) -> None:
    """Write the codes of all batches as one array, whole or not at all."""
    with draft(path) as unfinished:
        np.savez(unfinished, codes=torch.cat(batches).float().numpy())
    rank_zero_info(f"Codes       {path}")
