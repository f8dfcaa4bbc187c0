"""The names that a configuration may hold, to find the nearest to a misspelt one."""

import inspect

import torch
from lightning.pytorch import Trainer, callbacks, loggers

import lightning_gen.callbacks
import lightning_gen.data
import lightning_gen.models
import lightning_gen.networks
import lightning_gen.objectives

OWN = {
    "model": lightning_gen.models,
    "data": lightning_gen.data,
    "callbacks": lightning_gen.callbacks,
    "architecture": lightning_gen.networks,
    "corruption": lightning_gen.networks,
    "likelihood": lightning_gen.objectives,
}
BORROWED = {
    "callbacks": callbacks.__all__,
    "logger": loggers.__all__,
    "optimizer": [kind.__name__ for kind in torch.optim.Optimizer.__subclasses__()],
    "lr_scheduler": torch.optim.lr_scheduler.__all__,
    "activation": [f"torch.nn.{name}" for name in torch.nn.modules.activation.__all__],
    "normalization": [
        f"torch.nn.{name}"
        for kind in (torch.nn.modules.batchnorm, torch.nn.modules.instancenorm)
        for name in kind.__all__
    ],
}


def classes(key: str) -> list[str]:
    """The classes that may stand at ``key``, the last word of a dotted key."""
    own = [
        name
        for name in getattr(OWN.get(key), "__all__", ())
        if not inspect.isabstract(getattr(OWN[key], name))
    ]
    return [*own, *BORROWED.get(key, ())]


def argument_names() -> set[str]:
    """Every argument of the project's parts and of the usual optimizer."""
    names = set(inspect.signature(torch.optim.AdamW).parameters) - {"params"}
    for module in OWN.values():
        for name in module.__all__:
            names |= set(inspect.signature(getattr(module, name)).parameters)
    return names


def top_keys() -> set[str]:
    """The keys at the top of a configuration, and those of ``trainer``."""
    trainer = set(inspect.signature(Trainer.__init__).parameters) - {"self"}
    own = {"config", "seed_everything", "model", "data", "name", "ckpt_path", "test_after_fit"}
    return own | {f"trainer.{name}" for name in trainer}
