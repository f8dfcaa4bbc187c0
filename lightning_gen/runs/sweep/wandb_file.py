"""A sweep as a file of Weights & Biases, whose agents then run it."""

import os
from pathlib import Path
from typing import Any

import yaml
from optuna.distributions import CategoricalDistribution, IntDistribution
from optuna.samplers import RandomSampler

from lightning_gen.allowed import OPTION, VARIABLE, modules
from lightning_gen.atomic import write_text
from lightning_gen.errors import UserError
from lightning_gen.runs.sweep.reading import SweepFile
from lightning_gen.runs.sweep.space import Space
from lightning_gen.runs.sweep.trial import fit_words

LOGGER = "trainer.logger"


def write_wandb(sweep: SweepFile, words: tuple[str, ...], trials: int | None, path: Path) -> None:
    """Write the sweep for ``wandb sweep FILE``; a UserError where W&B has nothing the same."""
    content = wandb_sweep(sweep, words, trials)
    header = f"# {sweep.path} for Weights & Biases: wandb sweep {path}, then wandb agent SWEEP_ID\n"
    try:
        write_text(path, header + yaml.safe_dump(content, sort_keys=False))
    except OSError as error:
        raise UserError(
            f"{path} cannot be written: {error.strerror}. Pass a file in a folder of your own."
        ) from error


def wandb_sweep(sweep: SweepFile, words: tuple[str, ...], trials: int | None) -> dict[str, Any]:
    """The content of the file; of guided samplers W&B has Bayesian search alone."""
    random = isinstance(sweep.sampler(0), RandomSampler)
    method = "grid" if sweep.grid else "random" if random else "bayes"
    content: dict[str, Any] = {
        "project": "lightning_gen",  # that of conf/logger/wandb.yaml
        "program": "lightning-gen",
        "method": method,
    }
    if len(sweep.metric) == 1:
        content["metric"] = {"name": sweep.metric_name, "goal": sweep.direction}
    elif method == "bayes":
        raise UserError(
            f"W&B follows one metric, and {sweep.path} has {sweep.metric_name}. Set metric to one "
            "of them, or sampler to grid or RandomSampler, which need none."
        )
    if not sweep.grid:
        content["run_cap"] = trials or sweep.trials
    content["parameters"] = {key: wandb_parameter(key, p) for key, p in sweep.parameters.items()}
    keys = {word.partition("=")[0].lstrip("-") for word in words} | set(sweep.overrides)
    logger = () if LOGGER in keys else (f"--{LOGGER}", "lightning.pytorch.loggers.WandbLogger")
    own = modules(os.environ.get(VARIABLE, ""))  # another machine's agent has no such variable
    words = (*words, *(part for module in own for part in (OPTION, module)))
    command = ["${env}", "${program}", *fit_words(sweep, words), *logger, "${args}"]
    return {**content, "command": command}


def wandb_parameter(key: str, space: Space) -> dict[str, Any]:
    """A parameter in W&B's form; its agents write a value into the command as Python prints it."""
    if isinstance(space, CategoricalDistribution):
        return {"values": ["null" if value is None else value for value in space.choices]}
    whole = isinstance(space, IntDistribution)
    if whole and space.log:
        raise UserError(f"{key}: W&B has no logarithmic range of whole numbers. List its values.")
    if space.step is not None and not (whole and space.step == 1):
        number = int((space.high - space.low) / space.step + 1e-9) + 1
        return {"values": [space.low + place * space.step for place in range(number)]}
    kind = "int_uniform" if whole else "log_uniform_values" if space.log else "uniform"
    return {"distribution": kind, "min": space.low, "max": space.high}
