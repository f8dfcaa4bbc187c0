"""Looks at the options of a training before anything of it is built or written."""

import inspect
from pathlib import Path
from types import NoneType
from typing import Any, get_origin

from jsonargparse import Namespace
from lightning.pytorch import LightningDataModule, LightningModule

from lightning_gen.allowed import imported
from lightning_gen.cli.links import LINKS
from lightning_gen.cli.loggers import as_list
from lightning_gen.cli.trainer import RunTrainer
from lightning_gen.errors import UserError
from lightning_gen.parts import argument_types, check_part, members

PRECISIONS = ("None", "32-true", "32", "bf16-mixed", "bf16", "16-mixed", "16")
PLACES = ("dirpath", "dir", "save_dir", "root_dir", "log_dir", "sub_dir", "filename")
"""The arguments of Lightning's callbacks, loggers and profilers that name a file or a folder."""


def check_options(options: Namespace) -> None:
    """Raise a UserError for what the parser and Lightning would take, and must or can not be."""
    trainer = options.trainer
    check_part(options.model, LightningModule, "model")
    check_part(options.data, LightningDataModule, "data")
    types = argument_types(RunTrainer)
    for name, value in vars(trainer).items():
        if name in types:  # the parser also keeps the path of a file there
            check_part(value, types[name], f"trainer.{name}")
    for key in ("model", "data"):
        check_nulls(options[key], key)
    for callback in as_list(trainer.callbacks):
        check_nulls(callback, "trainer.callbacks")
    seed = options.seed_everything
    if not 0 <= (seed or 0) < 2**32:
        raise UserError(f"seed_everything is from 0 to {2**32 - 1}, got {seed}.")
    if trainer.accumulate_grad_batches < 1:
        raise UserError(
            f"trainer.accumulate_grad_batches is at least 1, got {trainer.accumulate_grad_batches}."
        )
    if str(trainer.precision) not in PRECISIONS:
        raise UserError(
            f"trainer.precision is 32-true, bf16-mixed or 16-mixed, got {trainer.precision}: "
            "weights and likelihoods are kept in float32."
        )


def check_nulls(part: object, key: str) -> None:
    """Raise a UserError where null stands at an argument whose type and default are others.

    The parser takes null anywhere.
    """
    arguments = part.get("init_args") if isinstance(part, Namespace) else None
    if not isinstance(part, Namespace) or not isinstance(arguments, Namespace):
        return
    accepted = inspect.signature(imported(part.class_path)).parameters
    for name, value in vars(arguments).items():
        argument = accepted.get(name)
        if argument and value is None and argument.default is not None and name not in LINKS:
            kinds = [*members(argument.annotation)]
            if NoneType not in kinds and all(isinstance(origin(kind), type) for kind in kinds):
                wanted = " or ".join(origin(kind).__name__ for kind in kinds)
                raise UserError(
                    f"{key}.{name}: expected {wanted}, got null. Leave it out for the default."
                )
        check_nulls(value, f"{key}.{name}")


def origin(annotation: Any) -> Any:  # noqa: ANN401  (a type of any form)
    """``tuple`` of ``tuple[int, ...]``; a plain type itself."""
    return get_origin(annotation) or annotation


def keep_inside(trainer: Namespace, run: Path | None) -> None:
    """Let all parts of a trainer write into the run's directory, and nowhere else.

    A relative place is one inside the run.

    Args:
        trainer: the options of the trainer.
        run: the run's directory; None where nothing is kept.

    Raises:
        UserError: a place lies outside, or W&B is told where its server is.
    """
    for key in ("callbacks", "logger", "profiler", "plugins", "strategy"):
        for part in as_list(trainer[key]):
            arguments = part.get("init_args") if isinstance(part, Namespace) else None
            if arguments is None:
                continue
            for name in PLACES:
                value = arguments.get(name)
                if isinstance(value, str | Path) and str(value) != ".":
                    place = inside(Path(value), run, f"trainer.{key}.{name}")
                    added = name in ("filename", "sub_dir")  # to another one
                    arguments[name] = str(value if added else place)
            if "settings" in (part.get("dict_kwargs") or {}) or arguments.get("settings"):
                # A configuration may be somebody else's: W&B would send the user's key there.
                raise UserError(
                    f"trainer.{key}.settings: where W&B is, and how to log in, is no option of a "
                    "configuration. Set W&B's own variables, such as WANDB_BASE_URL."
                )


def inside(place: Path, run: Path | None, key: str) -> Path:
    """A place below the run's directory.

    Raises:
        UserError: it is none.
    """
    root = (run or Path()).resolve()
    found = (root / place).resolve()
    if not found.is_relative_to(root):
        raise UserError(
            f"{key}: a run writes into its own directory, got {place}. Leave it out, or name a "
            "place inside the run."
        )
    return found
