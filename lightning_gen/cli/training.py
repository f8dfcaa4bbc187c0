"""The verbs of LightningCLI: fit, validate, test, predict."""

import os

from lightning.pytorch import LightningDataModule, LightningModule
from torch import distributed

import lightning_gen.data
import lightning_gen.models  # noqa: F401  (the parser knows by their short names what is imported)
from lightning_gen.cli import VERBS
from lightning_gen.cli.claim import RUN_VARIABLE
from lightning_gen.cli.finished import expand_run
from lightning_gen.cli.outcome import outcome
from lightning_gen.cli.parser import Parser
from lightning_gen.cli.trainer import RunTrainer
from lightning_gen.cli.training_cli import TrainingCLI


def run(words: list[str]) -> int:
    """Run ``fit``, ``validate``, ``test`` or ``predict``; the exit code."""
    try:
        return outcome(words[0], lambda: work(words))
    finally:
        os.environ.pop(RUN_VARIABLE, None)


def work(words: list[str]) -> None:
    """Let LightningCLI do what the words say."""
    verb = words[0]
    TrainingCLI(
        verb,
        LightningModule,
        LightningDataModule,
        trainer_class=RunTrainer,
        subclass_mode_model=True,
        subclass_mode_data=True,
        save_config_callback=None,
        seed_everything_default=0,
        trainer_defaults={
            "default_root_dir": "logs",
            "enable_model_summary": False,
            "max_epochs": 20,
        },
        parser_class=Parser,
        parser_kwargs={
            verb: {"description": f"{VERBS[verb].summary}: lightning-gen {VERBS[verb].example}"}
        },
        auto_configure_optimizers=False,
        args=expand_run(words),
    )
    leave_the_others()


def leave_the_others() -> None:
    """Part from the other processes of a training.

    Left to Python's own end, which frees what gloo's threads still hold, that now and then aborts
    a process whose work is done, and with it the whole job.
    """
    if distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()
