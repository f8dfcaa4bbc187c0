"""The prior that was fitted to the codes of a finished run: ``prior.pt`` beside its checkpoints."""

import hashlib
from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor, distributed

from lightning_gen.allowed import enforced
from lightning_gen.atomic import draft
from lightning_gen.callbacks import Draw
from lightning_gen.callbacks.drawing import evaluation_mode
from lightning_gen.callbacks.evaluation import training_batches
from lightning_gen.contracts import Batch, Decodes, DrawsCodes, Encodes, Infers, able, require
from lightning_gen.data.base import ImageDataModule
from lightning_gen.errors import UserError, user_error
from lightning_gen.hyperparameters import import_path, plain
from lightning_gen.models.fitted_prior import check_prior, codes_to_fit, use_prior
from lightning_gen.pictures import Samples
from lightning_gen.priors import Autoregressive, GaussianMixture, Prior, VectorPrior
from lightning_gen.training.checkpoint import build, load_checkpoint, read_content
from lightning_gen.training.directory import RunDirectory

FILE, PUBLISHED = "prior.pt", "prior.safetensors"
"""What is fitted here, and what comes with a published run."""
ENDING = "_of_fitted_prior"
"""Of the names of pictures that are drawn once such a prior was fitted."""
MOST_NUMBERS, MOST_CODES = 2**28, 2**18
"""Of the codes that a prior is fitted to, 1 GB; of more the first ones are taken."""
FEW_CODES, MOST_DRAWS = 5000, 10
"""Of fewer images several draws of each one's posterior are taken, at most so many."""


def fit_after_training(
    trainer: Trainer,
    model: LightningModule,
    prior: Prior,
    directory: RunDirectory | None,
    best: str | None,
) -> LightningModule:
    """A copy of the model that draws from a prior which is fitted to its best weights' codes.

    Of several processes each encodes its share of the images, and the first one fits the prior.
    Where it cannot be fitted a line says why, and the copy is as the model is.

    The model itself has the best weights then, and no other prior than before.
    """
    if directory is None or best is None:
        rank_zero_info("Prior       none: it is of a checkpoint's weights, and none was saved")
        return model
    folder, checkpoint = directory.path, Path(best)
    content = load_checkpoint(checkpoint)
    model.on_load_checkpoint(content)
    model.load_state_dict(content["state_dict"], strict=model.strict_loading)
    copy = copy_of(model).to(trainer.strategy.root_device)
    with evaluation_mode(trainer, copy):
        torch.manual_seed(trainer.global_rank)  # the noise of each one's codes
        batches = training_batches(trainer, ordered=False)
        codes = _gathered(trainer, codes_of_training(copy, batches, trainer.datamodule))  # type: ignore[attr-defined]
    if trainer.is_global_zero:
        try:
            torch.manual_seed(0)
            fitted = fit_to_codes(copy, codes, prior)
            keep_prior(fitted, folder / FILE, checkpoint)
            rank_zero_info(f"Prior       {describe_prior(fitted)}, fitted to the codes")
            Draw(Samples()).draw_all(trainer, copy, ["samples"], ENDING)
        except UserError as error:
            rank_zero_info(f"Prior       none: {error}")
    trainer.strategy.barrier()
    if not trainer.is_global_zero:
        use_kept_prior(copy, folder, checkpoint)
    return copy


def copy_of(model: LightningModule) -> LightningModule:
    """A copy without the trainer."""
    trainer, model.trainer = model.trainer, None
    try:
        return deepcopy(model)
    finally:
        model.trainer = trainer


def codes_of_training(model: LightningModule, batches: Iterable[Batch], data: object) -> Tensor:
    """Codes [N, K, ...] of training images, K of each, until they are many.

    Several of each are draws of its posterior, where the images are few, and those of the mirrored
    image, where the training mirrors. The model is in evaluation mode.
    """
    require(model, (Encodes, Decodes), "a fitted prior", "Choose another model.")
    draws, mirrored = 1, (False, True) if getattr(data, "mirror", False) else (False,)
    if isinstance(data, ImageDataModule) and able(model, (Infers | DrawsCodes,)):
        draws = min(MOST_DRAWS, -(-FEW_CODES // len(data.splits["train"])))
    parts, codes, numbers = [], 0, 0
    with torch.no_grad():
        for batch in batches:
            forms = [batch.images.flip(3) if turned else batch.images for turned in mirrored]
            seen = [batch._replace(images=form) for form in forms * draws]
            parts.append(torch.stack([codes_to_fit(model, each) for each in seen], dim=1))
            codes += parts[-1].shape[:2].numel()
            numbers += parts[-1].numel()
            if codes > MOST_CODES or numbers > MOST_NUMBERS:
                break
    return torch.cat(parts)


def _gathered(trainer: Trainer, codes: Tensor) -> Tensor:
    """The codes of all processes, in the first one."""
    if trainer.world_size == 1:
        return codes
    parts: list[Tensor] = [torch.empty(0)] * trainer.world_size
    distributed.all_gather_object(parts, codes.cpu())
    return torch.cat(parts).to(codes.device)


def fit_to_codes(model: LightningModule, codes: Tensor, prior: Prior | None = None) -> Prior:
    """Fit a prior to codes [N, K, ...] of training images, and let the model draw from it.

    By default it is a mixture of Gaussians, or an autoregressive one of codes that are entries of
    codebooks.
    """
    if prior is None:
        quantizes = getattr(model, "codebook_size", None)
        prior = Autoregressive() if quantizes else GaussianMixture()
    check_prior(model, prior)
    own = isinstance(prior, VectorPrior)
    prior = deepcopy(prior) if own else prior.of(model).to(model.device)  # not the caller's object
    prior.fit(codes.flatten(0, 1), per_image=codes.shape[1])
    use_prior(model, prior)
    return prior


def describe_prior(prior: Prior) -> str:
    """The prior and its options that are no defaults, as ``GaussianMixture(components=100)``."""
    given = {f.name: getattr(prior, f.name) for f in fields(prior)}
    told = (f"{f.name}={given[f.name]}" for f in fields(prior) if given[f.name] != f.default)
    return f"{type(prior).__name__}({', '.join(told)})"


def keep_prior(prior: Prior, path: Path, checkpoint: Path) -> Path:
    """Write a prior into a file, with what tells the weights that it is of."""
    options = {field.name: plain(getattr(prior, field.name)) for field in fields(prior)}
    content = {
        "prior": {"class_path": import_path(type(prior)), "init_args": options},
        "words": describe_prior(prior),
        "latent_dim": prior.latent_dim if isinstance(prior, VectorPrior) else None,
        "state_dict": {name: value.cpu() for name, value in prior.state_dict().items()},
        "weights": weights_digest(load_checkpoint(checkpoint)["state_dict"]),
    }
    with draft(path) as unfinished, unfinished.open("wb") as file:
        torch.save(content, file)
    return path


def weights_digest(weights: Mapping[str, Any]) -> str:
    """The SHA-256 of all tensors, by which weights are told apart."""
    found = hashlib.sha256()
    for name, value in weights.items():
        found.update(name.encode())
        if isinstance(value, torch.Tensor):
            found.update(value.contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def prior_in_words(folder: Path, checkpoint: Path) -> str:
    """What was fitted to the codes of these weights, as ``StandardNormal()``; empty without it.

    A UserError says that the file is broken.
    """
    path = kept_file(folder)
    content = read_prior(path) if path else None
    return content["words"] if content and _of_weights(content, checkpoint) else ""


def kept_file(folder: Path) -> Path | None:
    """The file of a run's prior, one that was fitted here first; None where there is none."""
    paths = (folder / name for name in (FILE, PUBLISHED))
    return next((path for path in paths if path.is_file()), None)


def _of_weights(content: Mapping[str, Any], checkpoint: Path) -> bool:
    weights = load_checkpoint(checkpoint)["state_dict"]
    return bool(content["weights"] == weights_digest(weights))


def use_kept_prior(model: LightningModule, folder: Path, checkpoint: Path) -> Prior | None:
    """Let a model draw from the prior that was fitted to the codes of this checkpoint, if any was.

    A line says that the one which is there is of other weights; a UserError that
    it cannot be read. Nothing in the file is run.
    """
    path = kept_file(folder)
    if path is None:
        return None
    content = read_prior(path)
    if not _of_weights(content, checkpoint):
        rank_zero_info(
            f"{path} was fitted to the codes of other weights than those of {checkpoint.name}: it "
            "is left aside. Fit it again with lightning-gen fit-prior."
        )
        return None
    try:
        with enforced():
            prior = build(Prior, "prior", content["prior"])  # type: ignore[type-abstract]
        if isinstance(prior, VectorPrior):
            prior.build(int(content.get("latent_dim", 0)))
        else:
            prior = prior.of(model)
        prior.load_state_dict(content["state_dict"])
        use_prior(model, prior.eval().requires_grad_(False))
    except Exception as error:  # of the parser, of the prior, of its weights
        reason = user_error(error) or f"{type(error).__name__}: {error}"
        raise UserError(
            f"{path} cannot be used: {' '.join(str(reason).split())[:300]} Fit it again with "
            "lightning-gen fit-prior, or pass --prior none."
        ) from error
    return prior


def read_prior(path: Path) -> dict[str, Any]:
    """The content of the file of a prior; a UserError says that it is broken, or something else."""
    try:
        content: Any = read_content(path)
        kinds = {"words": str, "prior": dict, "state_dict": dict, "weights": str}
        if not all(isinstance(content[name], kind) for name, kind in kinds.items()):
            raise TypeError("it holds something else")
        if not all(value.isfinite().all() for value in content["state_dict"].values()):
            raise ValueError("it holds NaN")
    except Exception as error:  # a broken pickle raises nearly anything
        raise UserError(
            f"{path} is broken, or no prior of a run. Fit it again with lightning-gen fit-prior, "
            "or pass --prior none."
        ) from error
    found: dict[str, Any] = content
    return found
