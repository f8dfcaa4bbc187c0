"""What a training put together in Python was: its configuration, and what data tell a model."""

from collections.abc import Callable, Mapping
from typing import Any

from lightning.pytorch import LightningDataModule, LightningModule
from lightning.pytorch.utilities import rank_zero_info

from lightning_gen.contracts import DataInfo, info_of
from lightning_gen.errors import UserError, nearest
from lightning_gen.hyperparameters import KeepsArguments, Plain, import_path, keep_arguments, plain
from lightning_gen.models.fitted_prior import has_fitted_prior
from lightning_gen.parts import parameters
from lightning_gen.training.same_model import canonical
from lightning_gen.training.trainer import DEFAULTS, RunTrainer


def describe_part(part: LightningModule | LightningDataModule) -> dict[str, Any]:
    """The class of a model or datamodule and its arguments, as a YAML file has them.

    One that keeps no arguments by itself keeps, from now on, what its ``save_hyperparameters`` has
    kept; where that is not all that it needs, a line says so.
    """
    kind: type = type(part)
    path = import_path(kind)
    try:
        known = {k: canonical(plain(v)) for k, v in part.hparams.items() if not k.startswith("_")}
    except UserError as error:
        raise UserError(
            f"what {kind.__name__} keeps by save_hyperparameters must be plain, for a checkpoint "
            f"to be loaded without running anything: {error} Or leave it out by ignore=[...]."
        ) from error
    missing = [*getattr(kind, "unkept", ())]
    if not isinstance(part, KeepsArguments):
        keep_arguments(part, path, known)
        missing = [name for name in parameters(kind) if name not in known]
    if missing or "<" in path:
        reason = f"does not keep its {', '.join(missing)}" if missing else "is no class of a module"
        if isinstance(part, LightningDataModule):
            remedy = "verbs on the run take images of their own, with --images."
        else:
            remedy = "the run can be used here, and not loaded later. Derive it from "
            remedy += "lightning_gen.hyperparameters.KeepsArguments, at the top level of a module."
        rank_zero_info(f"{kind.__name__} {reason}: {remedy}")
    return {"class_path": path, "init_args": known}


def check_parts(model: object, data: object) -> None:
    """Raise a UserError unless these are a LightningModule to be trained and its data."""
    if not isinstance(model, LightningModule):
        raise UserError(
            f"model is a LightningModule, such as those of lightning_gen.models, got {model!r:.60}."
        )
    if [*model.parameters()] and not any(p.requires_grad for p in model.parameters()):
        raise UserError(
            f"{type(model).__name__} is frozen, as a model that was loaded is: nothing in it would "
            "be trained. Call model.unfreeze() first, or go on with its run by resume=True."
        )
    if has_fitted_prior(model):
        raise UserError(
            f"{type(model).__name__} draws from a prior that was fitted to its codes, which a "
            'training would change. Train lightning_gen.FinishedRun.open(run, prior="none").model.'
        )
    if not isinstance(data, LightningDataModule):
        raise UserError(
            f"data is a LightningDataModule, such as those of lightning_gen.data, got "
            f"{type(data).__name__}."
        )


def describe_run(
    model: LightningModule, data: LightningDataModule, trainer: Mapping[str, Any], **more: object
) -> tuple[dict[str, Any], list[str]]:
    """What ``config.yaml`` holds of a run, and the options that no file can hold.

    What of the model the data sets is left out; ``trainer`` has the options that are not at their
    defaults. A UserError says that the model was made for other data, or an option is unknown.
    """
    kind = type(model)
    options = {name: each.default for name, each in parameters(RunTrainer).items()}
    for name in trainer:
        if name not in options:
            raise UserError(f"fit and Lightning's Trainer take no {name}{nearest(name, options)}")
    linked = linked_arguments(kind, data)
    for name, wanted in linked.items():
        made_for = model.hparams.get(name)
        if made_for is not None and plain(made_for) != wanted:
            raise UserError(
                f"{kind.__name__} was made for {name} {plain(made_for)}, and "
                f"{type(data).__name__} has {wanted}. Make it for this dataset."
            )
    described = {"model": describe_part(model), "data": describe_part(data)}
    arguments = described["model"]["init_args"]
    described["model"]["init_args"] = {k: v for k, v in arguments.items() if k not in LINKS}
    left_out = []

    def kept(name: str, value: object) -> object:
        try:
            return plain(value)
        except UserError:
            left_out.append(name)
            return options.get(name)

    chosen = {name: kept(name, value) for name, value in (options | DEFAULTS | {**trainer}).items()}
    more = {name: kept(name, value) for name, value in more.items()}
    return {"trainer": chosen, **described, **more}, left_out


def require_info(data: LightningDataModule) -> DataInfo:
    """What a datamodule says of its images; a UserError where it does not."""
    info = info_of(data)
    if info is None:
        raise UserError(
            "a datamodule says what it holds, as info = DataInfo(image_shape=(channels, height, "
            f"width)), and {type(data).__name__} does not. Import DataInfo from "
            "lightning_gen.contracts, and set it in the class or in its constructor."
        )
    return info


def factors(data: LightningDataModule) -> dict[str, int]:
    """The number of values of each factor, by its name."""
    info = require_info(data)
    return dict(zip(info.factor_names, info.factor_sizes, strict=True))


LINKS: dict[str, Callable[[LightningDataModule], object]] = {
    "image_shape": lambda data: require_info(data).image_shape,
    "num_classes": lambda data: max(1, len(require_info(data).class_names)),
    "class_names": lambda data: require_info(data).class_names,
    "factors": factors,
}
"""What of the data becomes which argument of a model that has such an argument."""


def linked_arguments(kind: type, data: LightningDataModule) -> dict[str, Plain]:
    """The arguments of a model's class that the data sets, as plain values."""
    names = [name for name in LINKS if name in parameters(kind)]
    return {name: plain(LINKS[name](data)) for name in names}
