"""The names that a configuration may hold, to find the nearest to a misspelt one."""

import inspect
from dataclasses import is_dataclass
from typing import get_args

import torch
from jsonargparse import ArgumentParser
from lightning.pytorch import Trainer, callbacks, loggers

import lightning_gen.callbacks
import lightning_gen.data
import lightning_gen.features
import lightning_gen.latent
import lightning_gen.models
import lightning_gen.networks
import lightning_gen.objectives
import lightning_gen.pictures
import lightning_gen.priors
from lightning_gen.cli.files import chosen_class, options_of
from lightning_gen.cli.help import LINKED
from lightning_gen.parts import buildable, parameters
from lightning_gen.pictures import Picture

ROOMS = {
    "model": lightning_gen.models,
    "data": lightning_gen.data,
    "callbacks": lightning_gen.callbacks,
    "pictures": lightning_gen.pictures,
    "fit_prior": lightning_gen.priors,
}
PARTS = (
    lightning_gen.features,
    lightning_gen.latent,
    lightning_gen.networks,
    lightning_gen.objectives,
    lightning_gen.priors,
)
KINDS = {kind.__name__: kind for kind in buildable(*ROOMS.values(), *PARTS)}
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
        known = [parameters(kind) for kind in KINDS.values()]
        types = [found[key].annotation for found in known if key in found]
        wanted = [part for each in types for part in get_args(each) or (each,)]
        kinds = [part for part in wanted if inspect.isclass(part)]
        ours = tuple(kind for kind in kinds if kind.__module__.startswith("lightning_gen."))
        own = [part for part in buildable(*PARTS) if issubclass(part, ours)]
    return [*(part.__name__ for part in own), *BORROWED.get(key, ())]


def place_of(name: str, but: str) -> str | None:
    """The key of a configuration at which a class of the project stands, if it is not ``but``."""
    places = {room: "trainer.callbacks" if room == "callbacks" else room for room in ROOMS}
    found = (place for room, place in places.items() if name in classes(room))
    return next((place for place in found if place != but), None)


def options_of_class(class_path: str) -> list[str]:
    """What can be given to a class of the project, or one that it borrows; none of another one."""
    name = class_path.rpartition(".")[2]
    borrowed = (vars(room).get(name) for room in BORROWED_FROM)
    kind = KINDS.get(name) or next(filter(inspect.isclass, borrowed), None)
    return taken_by(kind) if kind else []


def taken_by(kind: type) -> list[str]:
    """What the parser takes for a class."""
    found = ArgumentParser().add_class_arguments(kind, "part")
    return sorted({option.partition(".")[2] for option in found} - {"params", *LINKED})


def options(words: list[str]) -> set[str]:
    """All dotted options of a training with the classes that its words choose."""
    found = {"config", "seed_everything", "model", "data", "name", "ckpt_path", "test_after_fit"}
    found |= {"pictures", "default_pictures", "fit_prior"}
    found |= {*(f"trainer.{name}" for name in parameters(Trainer))}
    for place in {"model", "data", *(option for option, _ in options_of(words))}:
        name = chosen_class(words, place) or ""
        found |= {f"{place}.{option}" for option in options_of_class(name)}
        for argument, parameter in parameters(KINDS[name]).items() if name in KINDS else ():
            part = torch.optim.Adam if argument == "optimizer" else type(parameter.default)
            if argument == "optimizer" or is_dataclass(part):
                found |= {f"{place}.{argument}.{option}" for option in taken_by(part)}
    return found
