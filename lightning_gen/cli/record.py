"""Writes down what a run was: its configuration and its environment."""

import json

import torch
import yaml
from lightning.pytorch import Callback, LightningModule, Trainer

from lightning_gen import __version__
from lightning_gen.runs import RunDirectory, RunLogger, describe_environment
from lightning_gen.runs.directory import write_atomically


class RecordRun(Callback):
    """Writes ``config.yaml`` and ``environment.json``, and tells every logger the configuration.

    Args:
        directory: the run's directory.
        config_text: the complete resolved configuration, as YAML.
        seed: the run's seed.
    """

    def __init__(self, directory: RunDirectory, config_text: str, seed: int) -> None:
        self.directory = directory
        self.config_text = config_text
        self.seed = seed

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Before the first step; a run that goes on keeps the files that it has."""
        config = self.directory.path / "config.yaml"
        if not trainer.is_global_zero or config.exists():
            return
        environment = describe_environment(self.seed, device_names(trainer), trainer.world_size)
        header = f"# lightning-gen {__version__}: lightning-gen fit --config {config} runs it again\n"
        write_atomically(config, header + self.config_text)
        text = json.dumps(environment, indent=2) + "\n"
        write_atomically(self.directory.path / "environment.json", text)
        for logger in trainer.loggers:
            if not isinstance(logger, RunLogger):
                logger.log_hyperparams(yaml.safe_load(self.config_text))

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """A resumed run writes the rows after its checkpoint again."""
        for logger in trainer.loggers:
            if isinstance(logger, RunLogger) and trainer.is_global_zero:
                logger.file.forget_from(trainer.global_step)


def device_names(trainer: Trainer) -> list[str]:
    """A name for each device of this node, such as ``NVIDIA H100`` or ``cpu``."""
    device = trainer.strategy.root_device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return [name] * trainer.num_devices
