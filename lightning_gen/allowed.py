"""Which classes a configuration or a checkpoint may name.

To name a class is to import its module, which runs the code in it. What lies outside the
TRUSTED_MODULES is refused before it is imported, unless the user allows it; a file cannot.
"""

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lightning_gen.errors import UserError

OPTION = "--allow"
VARIABLE = "LIGHTNING_GEN_ALLOW"
"""Where the modules of ``--allow`` stand, with commas, for the processes that a verb starts too."""

TRUSTED_MODULES = (
    "lightning_gen.callbacks",
    "lightning_gen.data",
    "lightning_gen.features",
    "lightning_gen.latent",
    "lightning_gen.metrics",
    "lightning_gen.models",
    "lightning_gen.networks",
    "lightning_gen.objectives",
    "lightning_gen.pictures",
    "lightning_gen.priors",
    "lightning.pytorch.accelerators",
    "lightning.pytorch.callbacks",
    # Not all loggers: some take the address of a server, and a key.
    *(
        f"lightning.pytorch.loggers.{name}"
        for name in (
            *("CSVLogger", "TensorBoardLogger", "WandbLogger"),
            *("csv_logs", "tensorboard", "wandb"),
        )
    ),
    "lightning.pytorch.plugins",
    "lightning.pytorch.profilers",
    "lightning.pytorch.strategies",
    "lightning.fabric.plugins",
    "torch.nn",
    "torch.optim",
)


@contextmanager
def enforced() -> Iterator[None]:
    """Whatever jsonargparse imports is of the TRUSTED_MODULES, or of a module that a user allows.

    The working directory is on the import path only where one is allowed. Where a class comes from
    counts too, not only the name that it is given: a module of a room may have imported others.
    Afterwards the settings, which are the whole process's, are as they were. A UserError says that
    the variable holds something that is no module.
    """
    from jsonargparse import set_parsing_settings  # imported here, for --help to answer at once

    from lightning_gen._compat import parsing_settings_kept

    own = modules(os.environ.get(VARIABLE, ""))
    path = sys.path.copy()
    if own:
        sys.path.append(os.getcwd())  # last: a file there takes the place of no other module
    try:
        with parsing_settings_kept():
            set_parsing_settings(
                import_path_denylist=["*"],
                import_path_allowlist=[*TRUSTED_MODULES, *own, *registered()],
                validate_subclass_spec_in_any=True,
                instantiate_subclass_spec_in_any=False,
            )
            yield
    finally:
        sys.path[:] = path


def registered() -> list[str]:
    """The modules that installed packages offer, by the entry points of the group lightning_gen.

    Who installs a package trusts it; what lies in the working directory registers nothing.
    """
    from importlib.metadata import distributions

    here = os.path.realpath(os.getcwd())
    places = [place for place in sys.path if place and os.path.realpath(place) != here]
    points = (point for each in distributions(path=places) for point in each.entry_points)
    return [point.module for point in points if point.group == "lightning_gen"]


def imported(path: Any) -> Any:  # noqa: ANN401  (whatever has this name)
    """What has this dotted name, by the rule that is enforced.

    Else an ImportError (it is forbidden, or there is no such module), AttributeError (there is
    nothing of this name) or ValueError (it is no name).
    """
    from lightning_gen._compat import import_object

    return import_object(path)


def refusal(text: str) -> str | None:
    """One line for a refusal of jsonargparse, the text of an exception; None for other texts."""
    found = re.search(r"Importing '([^']+)' is not allowed, denied by the '([^']+)' entry", text)
    if found is None:
        return None
    path, entry = found.groups()
    module = path.rpartition(".")[0] or path if entry == "*" else entry
    return (
        f"expected a part of lightning_gen, Lightning, torch.nn or torch.optim, got {path}, whose "
        f"code would run. If you trust it, pass {OPTION} {module} (in Python, load(..., "
        f'allow="{module}")) or set {VARIABLE}={module}.'
    )


def modules(text: str) -> list[str]:
    """The modules of a list with commas; a UserError where one is none, or is jsonargparse."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        parts = name.split(".")
        if not all(part.isidentifier() for part in parts) or parts[0] == "jsonargparse":
            raise UserError(
                f"{OPTION} and {VARIABLE} take modules such as my_model or my_package.models, got "
                f"{name!r}."
            )
    return names


def split(words: list[str]) -> tuple[list[str], list[str]]:
    """A command's words without ``--allow MODULE``, and these; a UserError where one is none."""
    rest, names = [], []
    left = iter(words)
    for word in left:
        option, equals, value = word.partition("=")
        if option != OPTION:
            rest.append(word)
            continue
        given = modules(value if equals else next(left, ""))
        if not given:
            raise UserError(f"{OPTION} needs a module, such as {OPTION} my_model.")
        names += given
    return rest, names


@contextmanager
def granted(names: list[str]) -> Iterator[None]:
    """Allow these modules beside those of the variable, here and in processes that start here."""
    before = os.environ.get(VARIABLE, "")
    with variable(VARIABLE, ",".join([*modules(before), *names]) if names else before):
        yield


@contextmanager
def variable(name: str, value: str) -> Iterator[None]:
    """Set a variable of the environment, here and for processes that start here."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        os.environ.pop(name, None)
        if before is not None:
            os.environ[name] = before
