"""Writes down what a run was, and says what it does and found."""

import math
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
import yaml
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger, WandbLogger
from lightning.pytorch.utilities import rank_zero_info

from lightning_gen import __version__
from lightning_gen._compat import unlogged
from lightning_gen.atomic import discard_drafts, no_formula, write_rows, write_text
from lightning_gen.callbacks import Evaluation
from lightning_gen.callbacks.losses import logged_quantities
from lightning_gen.data.base import ImageDataModule
from lightning_gen.errors import UserError
from lightning_gen.models.fitted_prior import has_fitted_prior
from lightning_gen.quantities import Quantities
from lightning_gen.training.directory import CONFIG, SPLITS, RunDirectory
from lightning_gen.training.environment import describe_environment
from lightning_gen.training.fitted_prior import describe_prior
from lightning_gen.training.metrics_file import RunLogger
from lightning_gen.training.same_model import differences
from lightning_gen.training.scores import cards_in_words, write_scores
from lightning_gen.training.wandb import define_metrics

FEW_STEPS = 500  # a training of fewer has hardly begun
BEGINNING = ("config", "ckpt_path", "name", "seed_everything")
"""Keys of a configuration that say how a run began, which stay when it goes on."""


class RecordRun(Callback):
    """Writes ``config.yaml`` and ``environment.json``, and tells every logger the configuration.

    That is the complete one, as YAML, but for the options ``left_out``, which no file can hold. The
    seed is None where the user wants none.
    """

    def __init__(
        self,
        directory: RunDirectory,
        config_text: str,
        seed: int | None,
        left_out: Sequence[str] = (),
    ) -> None:
        self.directory = directory
        self.config_text = config_text
        self.seed = seed
        self.left_out = left_out
        self._quantities = Quantities()

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Show the configuration before Lightning saves what the loggers have."""
        if trainer.is_global_zero and stage == "fit":
            discard_drafts(self.directory.path)
        for logger in trainer.loggers:
            if trainer.is_global_zero and stage == "fit" and not isinstance(logger, RunLogger):
                logger.log_hyperparams(yaml.safe_load(self.config_text))
                if isinstance(logger, TensorBoardLogger):  # which shows them beside a metric alone
                    logger.experiment.add_text("config", f"```yaml\n{self.config_text}```")

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Before the first step; a run that goes on says its new options, and forgets later rows.

        Where an epoch is shorter than the logging interval, its last step is logged.
        """
        rank_zero_info(batch_in_words(trainer))
        every, gathered = trainer.log_every_n_steps, trainer.accumulate_grad_batches  # type: ignore[attr-defined]
        steps = int(min(trainer.num_training_batches, every * gathered)) // gathered
        trainer.log_every_n_steps = min(every, max(steps, 1))  # type: ignore[attr-defined]
        if not trainer.is_global_zero:
            return
        config = self.directory.path / CONFIG
        options, before = yaml.safe_load(self.config_text), self._options_before(trainer)
        given = options["data"].get("init_args", {})
        if "batch_size" in given:  # which Lightning's BatchSizeFinder changes
            given["batch_size"] = getattr(trainer.datamodule, "batch_size", given["batch_size"])  # type: ignore[attr-defined]
        options |= {key: before[key] for key in BEGINNING if key in before}
        changed = list(differences(before, options)) if before else []
        if changed:
            words = [f"{key} {now!s:.60} ({then!s:.60} before)" for key, then, now in changed]
            rank_zero_info(f"The run goes on with {', '.join(words)}.")
        again = f"# lightning-gen {__version__}: lightning-gen fit --config {config} runs it again"
        if self.left_out:
            again += f", without the {', '.join(self.left_out)} that Python made"
        write_text(config, f"{again}\n{yaml.safe_dump(options, sort_keys=False)}")
        self.on_test_start(trainer, pl_module)
        seed = before.get("seed_everything", self.seed)
        environment = describe_environment(seed, device_names(trainer), trainer.world_size)
        shown = (logger.version for logger in trainer.loggers if isinstance(logger, WandbLogger))
        more = {"wandb_run": next(shown, None), "changed": changed}
        self.directory.record(environment | more, trainer.global_step)
        for logger in trainer.loggers:
            if isinstance(logger, RunLogger):
                logger.file.forget_from(trainer.global_step)

    def _options_before(self, trainer: Trainer) -> dict[str, Any]:
        """The options of the run that goes on; none of one that begins, or whose file is broken."""
        with suppress(UserError):
            if trainer.global_step > 0:
                return self.directory.read_config()
        return {}

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """List the files of the splits that were loaded by now."""
        data = trainer.datamodule  # type: ignore[attr-defined]
        splits = data.splits if isinstance(data, ImageDataModule) else {}
        files = [(s, no_formula(f)) for s in splits for f in splits[s].names if isinstance(f, str)]
        if files and trainer.is_global_zero:
            write_rows(self.directory.path / SPLITS, [("split", "file"), *files])

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keep what the logged numbers are, and tell it W&B, where there are new ones."""
        found = logged_quantities(trainer)
        if found == self._quantities or not trainer.is_global_zero:
            return
        self._quantities = found
        self.directory.record_quantities(found)
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):
                define_metrics(logger, found)

    on_train_epoch_end = on_test_end = on_validation_end

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Keep in ``metrics.csv`` what Lightning logs only after a checkpoint of the same step.

        A run that goes on from the checkpoint does not log it again.
        """
        waiting = unlogged(trainer) if trainer.training else None
        if waiting is None or not waiting[0]:
            return
        metrics, step = waiting
        for logger in trainer.loggers:
            if isinstance(logger, RunLogger):
                logger.log_metrics({"epoch": trainer.current_epoch} | metrics, step)
                logger.save()


def batch_in_words(trainer: Trainer) -> str:
    """How many images a step has, and at which learning rate."""
    images = getattr(trainer.datamodule, "batch_size", None)  # type: ignore[attr-defined]
    factors = {"processes": trainer.world_size, "batches": trainer.accumulate_grad_batches}
    several = [f"{count} {name}" for name, count in factors.items() if count > 1]
    groups = [group for each in trainer.optimizers for group in each.param_groups]
    rates = [f"{group.get('initial_lr', group['lr']):.4g}" for group in groups]  # before a warm-up
    text = f"Learning rate {' and '.join(dict.fromkeys(rates))}"
    steps = trainer.estimated_stepping_batches
    length = f". {steps:,} steps in all" if 0 < steps < math.inf else ""
    if 0 < steps < FEW_STEPS:
        an_epoch = trainer.num_training_batches / trainer.accumulate_grad_batches
        enough = f"--trainer.max_epochs {math.ceil(2000 / an_epoch)}"
        length += f"; a model takes some thousands: {enough} makes 2,000 of them"
    if images is None:
        return text
    most = getattr(trainer.train_dataloader, "num_images", math.inf) // trainer.world_size
    images = min(images, most)  # a small dataset gives no whole batch
    total = images * trainer.world_size * trainer.accumulate_grad_batches
    if not several:
        return f"{total} images a step. {text}{length}"
    made = " x ".join(several)
    return f"{images} x {made} = {total} images a step. {text}, not scaled by it{length}"


def device_names(trainer: Trainer) -> list[str]:
    """A name for each device of this node, such as ``NVIDIA H100`` or ``cpu``."""
    device = trainer.strategy.root_device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return [name] * trainer.num_devices


def report_evaluation(
    trainer: Trainer, directory: RunDirectory | None, checkpoint: str | None
) -> None:
    """Say the metrics of an evaluation, and keep the cards of its scores in the run's directory.

    There may be no directory, and no checkpoint where the weights at hand were evaluated.
    """
    evaluations = [each for each in trainer.callbacks if isinstance(each, Evaluation)]  # type: ignore[attr-defined]
    cards = {name: card for each in evaluations for name, card in each.cards.items()}
    metrics = {k: float(v) for k, v in trainer.callback_metrics.items()}
    for stage, title in (("val", "Validation"), ("test", "Test")):
        values = {k.partition("/")[2]: v for k, v in metrics.items() if k.startswith(f"{stage}/")}
        loss = values.pop("loss", None)
        parts = ", ".join(
            f"{name} {value:.2f}" if abs(value) >= 100 else f"{name} {value:.4g}"
            for name, value in values.items()
            if name not in cards
        )
        if loss is not None:
            details = f" ({parts})" if parts else ""
            unit = logged_quantities(trainer).of("loss").unit
            said = f"{loss:.2f} {unit}" if unit else f"{loss:.6g}"
            rank_zero_info(f"{title} loss {said}{details}")
        elif parts:
            rank_zero_info(f"{title} {parts}")
    for line in cards_in_words(cards):
        rank_zero_info(line)
    if cards and directory is not None and trainer.is_global_zero:
        model: Any = trainer.lightning_module
        about = {
            "checkpoint": checkpoint and Path(checkpoint).name,
            "device": device_names(trainer)[0],
            "prior": describe_prior(model.prior) if has_fitted_prior(model) else "the model's own",
            "lightning_gen": __version__,
        }
        write_scores(directory.path, cards, about)
