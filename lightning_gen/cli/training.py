"""The verbs of LightningCLI: fit, validate, test, predict."""

import os
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jsonargparse import Namespace
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from lightning.pytorch.utilities.rank_zero import rank_zero_info, rank_zero_only

import lightning_gen.data
import lightning_gen.models  # noqa: F401  (the parser knows by their short names what is imported)
from lightning_gen.cli import quiet
from lightning_gen.cli.checkpoint import check_same_model, load_checkpoint
from lightning_gen.cli.defaults import complete_callbacks
from lightning_gen.cli.finished import NO_RUN, expand_run
from lightning_gen.cli.links import class_count, image_shape
from lightning_gen.cli.messages import explain, user_error
from lightning_gen.cli.parser import BadArguments, Parser
from lightning_gen.cli.record import RecordRun
from lightning_gen.errors import UserError
from lightning_gen.runs import RunDirectory, RunLogger

RUN_VARIABLE = "LIGHTNING_GEN_RUN"
"""How a process that Lightning starts for another device learns the run's directory."""


def run(words: list[str]) -> int:
    """Run ``fit``, ``validate``, ``test`` or ``predict``; the exit code."""
    quiet.install()
    try:
        TrainingCLI(
            LightningModule,
            LightningDataModule,
            subclass_mode_model=True,
            subclass_mode_data=True,
            save_config_callback=None,
            seed_everything_default=0,
            trainer_defaults={
                "default_root_dir": "logs",
                "enable_model_summary": False,
                "max_epochs": 20,
            },
            parser_class=Parser,
            auto_configure_optimizers=False,
            args=expand_run(words),
        )
    except (BadArguments, UserError, MisconfigurationException) as error:
        if os.environ.get("LIGHTNING_GEN_TRACEBACK"):
            traceback.print_exc()
        print(f"lightning-gen {words[0]}: {' '.join(str(error).split())}", file=sys.stderr)
        return 2 if isinstance(error, BadArguments) else 1
    return 0


class TrainingCLI(LightningCLI):
    """LightningCLI with run directories, linked shapes and one-line errors."""

    directory: RunDirectory | None = None

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add what belongs to a run, and link the data's shape to the model."""
        parser.add_argument(
            "--name", type=str | None, help="name of the run (default: the config file's)"
        )
        parser.add_argument(
            "--test_after_fit",
            type=bool,
            default=True,
            help="fit ends with one evaluation of the best checkpoint on the test split",
        )
        parser.link_arguments(
            "data", "model.init_args.image_shape", image_shape, apply_on="instantiate"
        )
        parser.link_arguments(
            "data", "model.init_args.num_classes", class_count, apply_on="instantiate"
        )

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:  # noqa: ANN401
        """Parse; the words may differ from those of the process."""
        try:
            self.config = parser.parse_args(args)
        except BadArguments as error:
            raise BadArguments(explain(str(error), error)) from error
        except UnicodeDecodeError as error:
            raise BadArguments(f"a configuration file is not UTF-8 text: {error}.") from error

    def _parse_ckpt_path(self) -> None:
        """Nothing: a checkpoint never silently replaces the model that was asked for."""

    @property
    def options(self) -> Namespace:
        """The configuration of the verb."""
        return self.config[self.subcommand]

    def before_instantiate_classes(self) -> None:
        """Claim the run's directory, and send every logger there."""
        self.config_text = self._parser(self.subcommand).dump(self.options, skip_none=False)
        path = self.options.ckpt_path
        if path not in (None, "last") and not Path(path).is_file():
            raise BadArguments(f"ckpt_path: expected the file of a checkpoint, got {path!r}.")
        if path is None and self.subcommand != "fit":
            raise BadArguments(NO_RUN)
        if self.subcommand == "fit" and not self.options.trainer.fast_dev_run:
            self.directory = self._find_directory()
            for logger in as_list(self.options.trainer.logger):
                point_logger(logger, self.directory)

    def instantiate_classes(self) -> None:
        """Build data, model and trainer; a fault in their arguments is a bad argument."""
        try:
            super().instantiate_classes()
        except Exception as error:
            self._discard_empty_directory()
            cause = user_error(error)
            if cause is None and not isinstance(error, MisconfigurationException | ValueError):
                raise
            raise BadArguments(explain(str(error), error)) from error

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:  # noqa: ANN401
        """Build the trainer with the callbacks and loggers that every run has."""
        options = self._get(self.config_init, "trainer")
        callbacks = complete_callbacks(options, self.model, self.datamodule, self.directory)
        loggers: list[Logger] = []
        if self.directory is not None:
            loggers = [RunLogger(self.directory), *as_list(options.logger)]
            seed = int(self.options.seed_everything)
            callbacks.append(RecordRun(self.directory, self.config_text, seed))
        return super().instantiate_trainer(callbacks=callbacks, logger=loggers, **kwargs)

    def after_instantiate_classes(self) -> None:
        """Refuse a checkpoint that is broken or of another model."""
        if self.options.ckpt_path is not None:
            check_same_model(self.model, load_checkpoint(Path(self.options.ckpt_path)))

    def before_fit(self) -> None:
        """Say what is about to be trained."""
        parameters = sum(p.numel() for p in self.model.parameters())
        shape = "x".join(str(n) for n in image_shape(self.datamodule))
        place = f", run {self.directory.path}" if self.directory else ""
        rank_zero_info(
            f"{type(self.model).__name__} of {parameters:,} parameters "
            f"on {type(self.datamodule).__name__} ({shape}){place}"
        )

    def after_fit(self) -> None:
        """Evaluate the best checkpoint on the test split; say where everything is."""
        if self.options.test_after_fit:
            best = None
            if self.directory is not None:
                best = str(self.trainer.strategy.broadcast(self.directory).best)
            self.trainer.test(self.model, self.datamodule, ckpt_path=best, verbose=False)
            report(self.trainer)
        if self.directory is not None:
            rank_zero_info(f"Pictures    {self.directory.images}")
            rank_zero_info(f"Metrics     {self.directory.metrics}")
            rank_zero_info(f"Checkpoint  {self.directory.best}")

    def after_validate(self) -> None:
        """Say the result."""
        report(self.trainer)

    def after_test(self) -> None:
        """Say the result."""
        report(self.trainer)

    def predict(self, **kwargs: Any) -> None:  # noqa: ANN401
        """Write the codes of the test split beside the checkpoint's run."""
        path = RunDirectory.of(Path(self.options.ckpt_path)).path / "codes.npz"
        codes = self.trainer.predict(**kwargs)
        assert codes is not None
        draft = path.with_name(f".{os.getpid()}.{path.name}")
        np.savez(draft, codes=torch.cat([c for c in codes if isinstance(c, torch.Tensor)]).numpy())
        draft.replace(path)
        rank_zero_info(f"Codes       {path}")

    def _run_subcommand(self, subcommand: str) -> None:
        try:
            super()._run_subcommand(subcommand)
        finally:
            self._discard_empty_directory()

    def _find_directory(self) -> RunDirectory:
        root = Path(self.options.trainer.default_root_dir)
        name = self.options.name or self._default_name()
        if self.options.ckpt_path == "last":
            runs = [run for run in RunDirectory.all_of(root, name) if run.last.is_file()]
            if not runs:
                raise BadArguments(f"ckpt_path last: no run of {root / name} has a checkpoint.")
            self.options.ckpt_path = str(runs[-1].last)
            return runs[-1]
        if rank_zero_only.rank == 0:
            try:
                directory = RunDirectory.claim(root, name)
            except UserError as error:
                raise BadArguments(str(error)) from error
            os.environ[RUN_VARIABLE] = str(directory.path)
            return directory
        return RunDirectory(Path(os.environ.get(RUN_VARIABLE, root / name / "version_unknown")))

    def _default_name(self) -> str:
        if self.options.config:
            return Path(str(self.options.config[-1])).stem
        classes = (self.options.model.class_path, self.options.data.class_path)
        return "_".join(path.rpartition(".")[2].lower() for path in classes)

    def _discard_empty_directory(self) -> None:
        if self.directory is not None and rank_zero_only.rank == 0:
            self.directory.discard_if_empty()


def as_list(value: Any) -> list[Any]:  # noqa: ANN401
    """The loggers in ``trainer.logger``, which may be one, several, or a switch."""
    if value is None or isinstance(value, bool):
        return []
    return list(value) if isinstance(value, Iterable) else [value]


def point_logger(logger: Namespace, directory: RunDirectory) -> None:
    """Let a logger write into the run's directory unless its YAML names another place."""
    arguments = logger.init_args
    if "save_dir" in arguments and arguments.save_dir in (None, "."):
        arguments.save_dir = str(directory.path)
    if logger.class_path.endswith("WandbLogger") and arguments.name is None:
        arguments.name = f"{directory.path.parent.name}/{directory.path.name}"


def report(trainer: Trainer) -> None:
    """Say the metrics of an evaluation, in nats per image where they are."""
    metrics = {k: float(v) for k, v in trainer.callback_metrics.items()}
    for stage, title in (("val", "Validation"), ("test", "Test")):
        values = {k.partition("/")[2]: v for k, v in metrics.items() if k.startswith(f"{stage}/")}
        loss = values.pop("loss", None)
        parts = ", ".join(f"{name} {value:.4g}" for name, value in values.items())
        if loss is not None:
            rank_zero_info(f"{title} loss {loss:.2f} nats per image" + (f" ({parts})" * bool(parts)))
