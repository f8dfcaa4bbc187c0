"""Looks at the options of a training before anything is written."""

from pathlib import Path
from types import NoneType
from typing import Any, get_origin

from jsonargparse import Namespace
from lightning.pytorch import LightningDataModule, LightningModule

from lightning_gen.allowed import imported
from lightning_gen.errors import UserError, check_number
from lightning_gen.parts import check_part, members, parameters
from lightning_gen.pictures import Picture
from lightning_gen.priors import Prior
from lightning_gen.training.described import LINKS
from lightning_gen.training.trainer import RunTrainer, as_list

PRECISIONS = ("None", "32-true", "32", "bf16-mixed", "bf16", "16-mixed", "16")
ABOVE_ZERO = (
    *("accumulate_grad_batches", "max_epochs", "max_steps", "limit_train_batches"),
    *("val_check_interval", "check_val_every_n_epoch"),
)
"""The options of the trainer that are numbers, and with 0 train or save nothing."""
NOT_NEGATIVE = (
    *("limit_val_batches", "limit_test_batches", "limit_predict_batches"),
    *("log_every_n_steps", "gradient_clip_val"),
)
PLACES = ("dirpath", "dir", "save_dir", "root_dir", "log_dir", "sub_dir", "filename")
"""The arguments of Lightning's callbacks, loggers and profilers that name a file or a folder."""


def check_configuration(options: Namespace) -> None:
    """Raise a UserError for what the parser and Lightning would take, and must or can not be."""
    trainer = options.trainer
    if trainer is None or "callbacks" not in trainer:
        raise UserError("trainer holds the trainer's options, got null. Leave the key out.")
    check_part(options.model, LightningModule, "model")
    check_part(options.data, LightningDataModule, "data")
    check_part(options.pictures, Picture | list[Picture] | None, "pictures")
    check_part(options.fit_prior, Prior | None, "fit_prior")
    for name, argument in parameters(RunTrainer).items():
        check_part(trainer.get(name), argument.annotation, f"trainer.{name}")
    for key in ("model", "data", "trainer.callbacks", "pictures", "fit_prior"):
        for part in as_list(options[key]):
            check_nulls(part, key)
    seed = options.seed_everything
    if not 0 <= (seed or 0) < 2**32:
        raise UserError(f"seed_everything is from 0 to {2**32 - 1}, got {seed}.")
    for name in (*ABOVE_ZERO, *NOT_NEGATIVE):
        value, endless = trainer[name], name.startswith("max_") and trainer[name] == -1
        if isinstance(value, int | float) and not endless:
            check_number(f"trainer.{name}", value, 0, "Leave it out.", above=name in ABOVE_ZERO)
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
    accepted = parameters(imported(part.class_path))
    for name, value in vars(arguments).items():
        argument = accepted.get(name)
        if argument and value is None and argument.default is not None and name not in LINKS:
            kinds: list[Any] = [get_origin(kind) or kind for kind in members(argument.annotation)]
            if NoneType not in kinds and all(isinstance(kind, type) for kind in kinds):
                wanted = " or ".join(kind.__name__ for kind in kinds)
                raise UserError(
                    f"{key}.{name}: expected {wanted}, got null. Leave it out for the default."
                )
        check_nulls(value, f"{key}.{name}")


def keep_inside(trainer: Namespace, run: Path | None) -> None:
    """Let all parts of a trainer write into the run's directory, and nowhere else.

    A relative place is one inside the run, which is None where nothing is kept. A UserError says
    that a place lies outside, or that W&B is told where its server is.
    """
    root = (run or Path()).resolve()
    keys = ("callbacks", "logger", "profiler", "plugins", "strategy")
    for key, part in [(name, each) for name in keys for each in as_list(trainer[name])]:
        arguments = part.get("init_args") if isinstance(part, Namespace) else None
        if arguments is None:
            continue
        for name in PLACES:
            value = arguments.get(name)
            if not isinstance(value, str | Path) or str(value) == ".":
                continue
            place = (root / value).resolve()
            if not place.is_relative_to(root):
                raise UserError(
                    f"trainer.{key}.{name}: a run writes into its own directory, got {value}. "
                    "Leave it out, or name a place inside the run."
                )
            added = name in ("filename", "sub_dir")  # to another one
            arguments[name] = str(value if added else place)
        if "settings" in (part.get("dict_kwargs") or {}) or arguments.get("settings"):
            # A configuration may be somebody else's: W&B would send the user's key there.
            raise UserError(
                f"trainer.{key}.settings: where W&B is, and how to log in, is no option of a "
                "configuration. Set W&B's own variables, such as WANDB_BASE_URL."
            )
