"""``fit`` in Python."""

import os
from collections.abc import Mapping, Sequence
from operator import index
from pathlib import Path
from typing import Any

import yaml
from lightning.pytorch import Callback, LightningDataModule, LightningModule, seed_everything
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_info

from lightning_gen.allowed import variable
from lightning_gen.errors import BadArgumentsError, UserError, check_objects
from lightning_gen.models.fitted_prior import check_prior
from lightning_gen.pictures import Picture
from lightning_gen.priors import Prior
from lightning_gen.runs.finished import FinishedRun
from lightning_gen.training.claim import claimed
from lightning_gen.training.described import check_parts, describe_run
from lightning_gen.training.directory import default_name
from lightning_gen.training.fit import make_trainer, supervised, train
from lightning_gen.training.quiet import quiet_libraries
from lightning_gen.training.record import RecordRun
from lightning_gen.training.same_model import check_same_model
from lightning_gen.training.trainer import DEFAULTS, as_list
from lightning_gen.training.warm_start import begin


def fit(
    model: LightningModule,
    data: LightningDataModule,
    *,
    name: str | None = None,
    resume: bool = False,
    seed: int | None = None,
    pictures: Picture | Sequence[Picture] = (),
    default_pictures: bool = True,
    test_after_fit: bool = True,
    fit_prior: Prior | None = None,
    init_from: str | Path | None = None,
    init_strict: bool = False,
    freeze: str | Sequence[str] | None = None,
    **trainer: Any,  # noqa: ANN401  (Lightning's)
) -> FinishedRun:
    """Train a model in a run directory of its own, as ``lightning-gen fit`` does.

    The run has pictures, ``metrics.csv``, its best and its last checkpoint, goes on exactly after
    an interruption, and is tested at its end. Every verb and :func:`lightning_gen.load` take it.
    ``model`` itself ends with the weights of the test, the best ones.

    Args:
        model: a model of ``lightning_gen.models``, or any LightningModule with a ``val/loss``.
        data: a dataset of ``lightning_gen.data``, or any LightningDataModule with an
            ``info``, a ``DataInfo``.
        name: the run is ``logs/<name>/version_<n>``; by default it is called after both classes.
        resume: go on with the latest run of this name; ``model`` is as it was made then.
        seed: of the order of images and of noise; by default that of Lightning's
            ``seed_everything``, which also repeats the model's weights if it is called before the
            model is made, else 0.
        pictures: what is drawn, such as ``lightning_gen.pictures.LatentGrid(steps=20)``, beside the
            default pictures or in place of the one of its kind.
        default_pictures: draw what the model is able to show.
        test_after_fit: evaluate the best checkpoint on the test split.
        fit_prior: fitted to the codes of the training images at the end; all that is drawn from
            the run is drawn from it, such as ``lightning_gen.priors.GaussianMixture()``.
        init_from: begin with the weights of this run, checkpoint or ``.safetensors``, as far as
            they fit, which a line says.
        init_strict: a UserError where a tensor does not fit.
        freeze: modules or parameters that stay as they are, such as "encoder".
        trainer: arguments of Lightning's Trainer (``max_epochs`` is 20 by default; ``logger`` is
            what logs beside metrics.csv), ``compile`` and ``channels_last``. The runs stand in
            ``default_root_dir``, "logs".

    Returns:
        The run, its model with the best weights.

    Raises:
        UserError: an argument or the data cannot be used.
        InterruptionError: Ctrl-C or a signal ended the run, which has saved.
    """
    check_parts(model, data)
    check_options(trainer | {"pictures": pictures})
    if fit_prior is not None:
        check_objects("fit_prior", [fit_prior], Prior)
        check_prior(model, fit_prior)
    root = Path(trainer.get("default_root_dir") or DEFAULTS["default_root_dir"]).expanduser()
    options = DEFAULTS | trainer | {"default_root_dir": str(root)}
    called = name or default_name(type(model).__name__, type(data).__name__, data.hparams)
    seed = checked_seed(os.environ.get("PL_GLOBAL_SEED", 0) if seed is None else seed)
    drawn = as_list(pictures)
    more: dict[str, Any] = {"name": called, "seed_everything": seed, "pictures": drawn or None}
    more |= {"ckpt_path": None, "weights_only": None}
    more |= {"default_pictures": default_pictures, "test_after_fit": test_after_fit}
    more |= {"fit_prior": fit_prior, "init_from": init_from and str(init_from)}
    more |= {"init_strict": init_strict, "freeze": as_list(freeze) or None}
    config, left_out = describe_run(model, data, options, **more)
    begin(model, init_from, init_strict, freeze, resumes=resume)
    try:
        with (
            quiet_libraries(),
            variable("PL_GLOBAL_SEED", str(seed)),  # later trainings have seeds of their own
            variable("PL_SEED_WORKERS", "1"),
            claimed(root, called, "last" if resume else None) as claim,
        ):
            if claim.ckpt_path is not None:
                check_same_model(model, Path(claim.ckpt_path))
            seed_everything(seed, workers=True)
            config_text = yaml.safe_dump(config, sort_keys=False)
            record = RecordRun(claim.directory, config_text, seed, left_out)
            fitting = make_trainer(options, model, data, record, drawn, draw=default_pictures)
            if left_out:
                rank_zero_info(f"config.yaml cannot hold {', '.join(left_out)} that Python made")
            with supervised(fitting):
                best = train(fitting, model, data, *claim, test=test_after_fit, prior=fit_prior)
    except BadArgumentsError as error:
        raise UserError(str(error)) from error
    path = claim.directory.path.absolute()
    return FinishedRun.trained(model, Path(best).absolute() if best else None, path)


def check_options(trainer: Mapping[str, Any]) -> None:
    """Raise a UserError where the arguments of the Trainer would give no run."""
    if trainer.get("fast_dev_run"):
        raise UserError(
            "fast_dev_run keeps nothing, and fit gives back a run. Pass max_steps=1, or call "
            "Trainer(fast_dev_run=True).fit(model, data)."
        )
    for name in ("max_epochs", "max_steps", "limit_train_batches"):
        if trainer.get(name) == 0:
            raise UserError(f"{name} 0 trains nothing, expected more. Leave it out.")
    for name, kind in (("callbacks", Callback), ("logger", Logger), ("pictures", Picture)):
        check_objects(name, as_list(trainer.get(name)), kind)


def checked_seed(seed: Any) -> int:  # noqa: ANN401  (of any form)
    """The seed as a number; a UserError where it is none that torch and numpy take."""
    try:
        number = int(seed) if isinstance(seed, str) else index(seed)
    except (TypeError, ValueError):
        number = -1
    if isinstance(seed, bool) or not 0 <= number < 2**32:
        raise UserError(f"seed is a whole number from 0 to {2**32 - 1}, got {seed!r}.")
    return number
