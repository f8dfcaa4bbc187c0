"""LightningCLI as this project uses it."""

import inspect
from pathlib import Path
from signal import SIGUSR1
from typing import Any

from filelock import FileLock
from jsonargparse import Namespace
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.utilities import rank_zero_info

from lightning_gen._compat import classes_from_their_defaults
from lightning_gen.allowed import imported
from lightning_gen.cli.checkpoint import (
    best_checkpoint,
    check_same_model,
    forget_averages,
)
from lightning_gen.cli.claim import (
    claim_directory,
    default_name,
    is_first_process,
    lock,
    release,
)
from lightning_gen.cli.cluster import requeue
from lightning_gen.cli.defaults import complete_callbacks
from lightning_gen.cli.files import check_files
from lightning_gen.cli.finished import NO_RUN
from lightning_gen.cli.links import LINKS
from lightning_gen.cli.loggers import (
    as_list,
    finish,
    open_or_go_offline,
    outlive_wandb,
    point_logger,
)
from lightning_gen.cli.messages import explain, first_error
from lightning_gen.cli.outcome import fault_of_another, is_lack_of_memory
from lightning_gen.cli.parser import BadArgumentsError
from lightning_gen.cli.places import keep_inside
from lightning_gen.cli.recipes import check_recipes
from lightning_gen.cli.record import RecordRun
from lightning_gen.cli.results import announce, list_files, report, write_codes
from lightning_gen.cli.run_errors import told_to_the_user
from lightning_gen.cli.trainer import (
    RunTrainer,
    check_trainer_parts,
    is_about_devices,
    write_checkpoints_whole,
)
from lightning_gen.contracts import Encodes
from lightning_gen.errors import InterruptionError, UserError, user_error
from lightning_gen.parts import argument_types, check_part
from lightning_gen.runs import RunDirectory, RunLogger


class TrainingCLI(LightningCLI):
    """LightningCLI with run directories, linked shapes and one-line errors.

    Args:
        verb: the only one whose options are looked up, which takes a while for each.
        arguments: LightningCLI's.
        options: LightningCLI's.
    """

    directory: RunDirectory | None = None
    lock: FileLock | None = None

    def __init__(self, verb: str, *arguments: Any, **options: Any) -> None:  # noqa: ANN401
        self.verb = verb
        super().__init__(*arguments, **options)

    def subcommands(self) -> dict[str, set[str]]:  # type: ignore[override]  # Lightning's is static
        """The verb, and the arguments of the trainer's method that are no options."""
        return {self.verb: super().subcommands()[self.verb]}

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
        parser.add_argument(
            "--default_pictures",
            type=bool,
            default=True,
            help="fit draws what the model is able to show, beside trainer.callbacks",
        )
        for argument, compute in LINKS.items():
            target = f"model.init_args.{argument}"
            parser.link_arguments("data", target, compute, apply_on="instantiate")

    def _prepare_subcommand_parser(
        self,
        klass: type,
        subcommand: str,
        **kwargs: Any,  # noqa: ANN401
    ) -> LightningArgumentParser:
        parser = super()._prepare_subcommand_parser(klass, subcommand, **kwargs)
        if "verbose" in self._subcommand_method_arguments[subcommand]:
            parser.set_defaults(verbose=False)  # Lightning's table says what our line says
        return parser

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:  # noqa: ANN401
        """Parse; the words may differ from those of the process."""
        check_files(args)
        self.dropped: dict[tuple[str, str], list[str]] = {}
        try:
            with classes_from_their_defaults(self._note_dropped):
                self.config = parser.parse_args(args)
        except BadArgumentsError as error:
            raise BadArgumentsError(explain(str(error), error, args)) from error
        seed = self.config[self.config.subcommand].seed_everything
        if not 0 <= (seed or 0) < 2**32:
            raise BadArgumentsError(f"seed_everything is from 0 to {2**32 - 1}, got {seed}.")

    def _note_dropped(self, before: str, now: str, arguments: dict[str, Any]) -> None:
        """Keep what was said for a class in whose place another stands, its defaults aside."""
        try:
            accepted = inspect.signature(imported(before)).parameters
        except ImportError:  # the parser's own guess, where nothing was said
            return
        names = [
            name
            for name, value in arguments.items()
            if value is not None and name in accepted and accepted[name].default != value
        ]
        if names:
            self.dropped[before, now] = names

    def _parse_ckpt_path(self) -> None:
        """Nothing: a checkpoint never silently replaces the model that was asked for."""

    @property
    def options(self) -> Namespace:
        """The configuration of the verb."""
        options: Namespace = self.config[self.subcommand]
        return options

    def before_instantiate_classes(self) -> None:
        """Claim the run's directory, and send every logger there."""
        check_parts(self.options)
        check_recipes(self.options.model, "model")
        check_recipes(self.options.data, "data")
        for callback in as_list(self.options.trainer.callbacks):
            check_recipes(callback, "trainer.callbacks")
        if self.subcommand == "fit":  # config.yaml keeps it: run again, it is the next version
            self.options.name = self.options.name or default_name(self.options)
        check_trainer_parts(self.options.trainer)
        self.config_text = self._parser(self.subcommand).dump(self.options, skip_unset=False)
        path = self.options.ckpt_path
        if path not in (None, "last") and not Path(path).is_file():
            raise BadArgumentsError(f"ckpt_path: expected the file of a checkpoint, got {path!r}.")
        if path is None and self.subcommand != "fit":
            raise BadArgumentsError(NO_RUN)
        if self.subcommand == "fit" and not self.options.trainer.fast_dev_run:
            self.directory = claim_directory(self.options)
            if is_first_process():
                self.lock = lock(self.directory)
            for logger in as_list(self.options.trainer.logger):
                point_logger(logger, self.directory)
        run = self.directory or RunDirectory.around(Path(path or "."))
        try:
            keep_inside(self.options.trainer, run.path if run else None)
        except BadArgumentsError:
            self._leave_directory()
            raise

    def instantiate_classes(self) -> None:
        """Build data, model and trainer; a fault in their arguments is a bad argument."""
        try:
            super().instantiate_classes()
            if self.options.ckpt_path is not None:
                check_same_model(self.model, Path(self.options.ckpt_path))
        except Exception as error:
            self._leave_directory()
            cause = user_error(error) or first_error(error)
            if is_lack_of_memory(cause):
                raise cause from error
            if is_about_devices(cause):
                raise BadArgumentsError(
                    "trainer.devices: expected how many to use, at least 1, or auto; a list such "
                    f"as [0, 1] chooses among GPUs; got {self.options.trainer.devices!r}."
                ) from error
            known = isinstance(cause, MisconfigurationException | ValueError | ModuleNotFoundError)
            if told := fault_of_another(cause, lightnings=not known):
                raise BadArgumentsError(told) from error
            if not known:
                raise
            raise BadArgumentsError(explain(str(cause))) from error

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:  # noqa: ANN401
        """Build the trainer with the callbacks and loggers that every run has."""
        options = self._get(self.config_init, "trainer")
        draw = self.directory is not None and self.options.default_pictures
        callbacks = complete_callbacks(
            options, self.model, self.datamodule, self.directory, draw=draw
        )
        loggers: list[Any] = []
        if self.directory is not None:
            loggers = [RunLogger(self.directory), *as_list(options.logger)]
            open_or_go_offline(loggers)
            outlive_wandb(loggers)
            seed = self.options.seed_everything
            callbacks.append(
                RecordRun(self.directory, self.config_text, None if seed is False else seed)
            )
        trainer = super().instantiate_trainer(callbacks=callbacks, logger=loggers, **kwargs)
        write_checkpoints_whole(trainer)
        return trainer

    def before_fit(self) -> None:
        """Say what is about to be trained."""
        for (before, now), names in self.dropped.items():
            old, new = before.rpartition(".")[2], now.rpartition(".")[2]
            rank_zero_info(
                f"{new} stands in the place of {old}, and has its own defaults: {', '.join(names)} "
                f"of {old} {'is' if len(names) == 1 else 'are'} dropped"
            )
        announce(self.model, self.datamodule, self.directory)

    def after_fit(self) -> None:
        """Evaluate the best checkpoint on the test split; say where everything is."""
        best = best_checkpoint(self.trainer)
        forget_averages(self.trainer)
        if self.options.test_after_fit and type(self.model).test_step is LightningModule.test_step:
            rank_zero_info(f"{type(self.model).__name__} has no test_step: nothing is tested")
        elif self.options.test_after_fit:
            self.trainer.test(self.model, self.datamodule, ckpt_path=best, verbose=False)
            report(self.trainer, self.directory.path if self.directory else None, best)
        if self.directory is not None:
            list_files(self.directory, best)

    def after_validate(self) -> None:
        """Say the result, and keep the scores beside the checkpoint's run."""
        checkpoint = Path(self.options.ckpt_path)
        run = RunDirectory.around(checkpoint.resolve())
        report(self.trainer, run.path if run else None, str(checkpoint))

    after_test = after_validate

    def predict(self, **kwargs: Any) -> None:  # noqa: ANN401
        """Write the codes of the test split beside the checkpoint's run."""
        if not isinstance(self.model, Encodes):
            raise UserError(
                f"predict writes the code of each image, and {type(self.model).__name__} has none. "
                "Choose a run of a model with an encoder."
            )
        path = RunDirectory.of(Path(self.options.ckpt_path)).path / "codes.npz"
        batches: list[Any] = self.trainer.predict(**kwargs) or []
        write_codes(batches, path)

    def _run_subcommand(self, subcommand: str) -> None:
        failed, again = True, False
        try:
            with told_to_the_user(self.trainer):
                super()._run_subcommand(subcommand)
            failed = False
        except InterruptionError as error:
            again = error.signal == SIGUSR1 and is_first_process()
            raise
        finally:
            finish(self.trainer.loggers, failed=failed)
            self._leave_directory()
            if again:
                requeue()  # last: Slurm ends all processes then

    def _leave_directory(self) -> None:
        if self.lock is not None:
            release(self.lock)
            self.lock = None
        if self.directory is not None and is_first_process():
            self.directory.discard_if_empty()


def check_parts(options: Namespace) -> None:
    """Raise a BadArgumentsError where the configuration names what may not stand at its key."""
    try:
        check_part(options.model, LightningModule, "model")
        check_part(options.data, LightningDataModule, "data")
        types = argument_types(RunTrainer)
        for name, value in vars(options.trainer).items():
            if name in types:  # the parser also keeps the path of a file there
                check_part(value, types[name], f"trainer.{name}")
    except UserError as error:
        raise BadArgumentsError(str(error)) from error
