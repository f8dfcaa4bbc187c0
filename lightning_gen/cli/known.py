"""The names that a configuration may hold, to find the nearest to a misspelt one."""

import inspect
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import get_args

import torch
from lightning.pytorch import Trainer, callbacks, loggers

import lightning_gen.callbacks
import lightning_gen.data
import lightning_gen.features
import lightning_gen.latent
import lightning_gen.models
import lightning_gen.networks
import lightning_gen.objectives
import lightning_gen.pictures
from lightning_gen.cli.help import class_options
from lightning_gen.parts import buildable, parameters
from lightning_gen.pictures import Picture

ROOMS = {
    "model": lightning_gen.models,
    "data": lightning_gen.data,
    "callbacks": lightning_gen.callbacks,
    "pictures": lightning_gen.pictures,
}
PARTS = (
    lightning_gen.features,
    lightning_gen.latent,
    lightning_gen.networks,
    lightning_gen.objectives,
)
OPTIMIZERS = [
    kind.__name__ for kind in torch.optim.Optimizer.__subclasses__() if kind.__name__.isalnum()
]
BORROWED_FROM = (torch.optim, torch.optim.lr_scheduler, callbacks, loggers)
BORROWED = {
    "callbacks": callbacks.__all__,
    "logger": loggers.__all__,
    "optimizer": OPTIMIZERS,
    "discriminator_optimizer": OPTIMIZERS,
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
    if key in ROOMS:
        own = buildable(ROOMS[key])
        own = [kind for kind in own if key != "pictures" or issubclass(kind, Picture)]
    else:
        kinds = tuple(part_types(key))
        own = [part for part in buildable(*PARTS) if issubclass(part, kinds)]
    return [*(part.__name__ for part in own), *BORROWED.get(key, ())]


def paths(name: str) -> set[str]:
    """The dotted options of a class of the project: its own, and those of its default parts."""
    kinds = {part.__name__: part for part in buildable(*ROOMS.values())}
    if name not in kinds:
        return set()
    found = set(options_of_class(name))
    for argument, parameter in parameters(kinds[name]).items():
        part = parameter.default
        if argument == "optimizer":
            found |= {f"optimizer.{option}" for option in options_of_class("Adam")}
        elif is_dataclass(part):
            found |= {f"{argument}.{field.name}" for field in fields(part)}
    return found


def options_of_class(class_path: str) -> list[str]:
    """What can be given to a class of the project, or one that it borrows; none of another one."""
    name = class_path.rpartition(".")[2]
    for room in ROOMS.values():
        if name in room.__all__:
            return sorted(row[0] for row in class_options(room.__name__.partition(".")[2], name))
    kinds = {part.__name__: part for part in buildable(*PARTS)}
    borrowed = (vars(room).get(name) for room in BORROWED_FROM)
    kind = kinds.get(name) or next(filter(inspect.isclass, borrowed), None)
    return sorted(set(parameters(kind)) - {"params"}) if kind else []


def part_types(key: str) -> Iterator[type]:
    """The project's types of the arguments called ``key``, wherever a class has one."""
    for owner in buildable(*ROOMS.values(), *PARTS):
        argument = parameters(owner).get(key)
        if argument is None:
            continue
        for kind in get_args(argument.annotation) or (argument.annotation,):
            if inspect.isclass(kind) and kind.__module__.startswith("lightning_gen."):
                yield kind


def top_keys() -> set[str]:
    """The keys at the top of a configuration, and those of ``trainer``."""
    trainer = set(parameters(Trainer))
    own = {"config", "seed_everything", "model", "data", "name", "ckpt_path", "test_after_fit"}
    own |= {"pictures", "default_pictures"}
    return own | {f"trainer.{name}" for name in trainer}
