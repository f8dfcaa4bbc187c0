"""The verbs of LightningCLI: fit, validate, test, predict."""

import os
import sys
import traceback

from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import LightningDataModule, LightningModule

import lightning_gen.data
import lightning_gen.models  # noqa: F401  (the parser knows by their short names what is imported)
from lightning_gen.cli import VERBS, quiet
from lightning_gen.cli.claim import RUN_VARIABLE
from lightning_gen.cli.finished import expand_run
from lightning_gen.cli.parser import BadArgumentsError, Parser
from lightning_gen.cli.trainer import RunTrainer
from lightning_gen.cli.training_cli import TrainingCLI
from lightning_gen.errors import UserError


def run(words: list[str]) -> int:
    """Run ``fit``, ``validate``, ``test`` or ``predict``; the exit code."""
    try:
        with quiet.libraries():
            TrainingCLI(
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
                    name: {"description": f"{verb.summary}: lightning-gen {verb.example}"}
                    for name, verb in VERBS.items()
                },
                auto_configure_optimizers=False,
                args=expand_run(words),
            )
    except (BadArgumentsError, UserError, MisconfigurationException) as error:
        if os.environ.get("LIGHTNING_GEN_TRACEBACK"):
            traceback.print_exc()
        print(f"lightning-gen {words[0]}: {' '.join(str(error).split())}", file=sys.stderr)
        return 2 if isinstance(error, BadArgumentsError) else 1
    finally:
        os.environ.pop(RUN_VARIABLE, None)
    return 0
