"""The verbs fit, validate, test and predict: words become parts, and the trainer runs them."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from jsonargparse import Namespace
from lightning.pytorch import LightningDataModule, LightningModule, seed_everything
from lightning.pytorch.utilities import rank_zero_info
from torch import distributed

from lightning_gen._compat import classes_from_their_defaults
from lightning_gen.allowed import imported
from lightning_gen.atomic import draft
from lightning_gen.callbacks.drawing import run_directory
from lightning_gen.cli.checks import check_configuration, keep_inside
from lightning_gen.cli.files import check_files
from lightning_gen.cli.messages import explain
from lightning_gen.cli.outcome import fault_of_a_constructor, outcome
from lightning_gen.cli.parser import Parser, classes_first, training_parser
from lightning_gen.contracts import Encodes, able
from lightning_gen.errors import BadArgumentsError, UserError, bad_arguments
from lightning_gen.hyperparameters import KeepsArguments, keep_arguments
from lightning_gen.models.fitted_prior import check_prior
from lightning_gen.parts import parameters
from lightning_gen.pictures import Picture
from lightning_gen.priors import Prior
from lightning_gen.training.claim import claimed
from lightning_gen.training.described import linked_arguments
from lightning_gen.training.directory import CHECKPOINTS, CONFIG, RunDirectory, default_name
from lightning_gen.training.fit import make_trainer, supervised, train
from lightning_gen.training.fitted_prior import use_kept_prior
from lightning_gen.training.loggers import point_logger
from lightning_gen.training.record import RecordRun, report_evaluation
from lightning_gen.training.same_model import check_same_model
from lightning_gen.training.trainer import as_list
from lightning_gen.training.warm_start import begin

NO_RUN = "a trained model is needed: pass its run directory, logs/NAME/version_N, or a checkpoint."


def run(words: list[str]) -> int:
    """Run ``fit``, ``validate``, ``test`` or ``predict``; the exit code."""
    return outcome(words[0], lambda: run_training(words))


def run_training(words: list[str]) -> None:
    """Do what the words say."""
    verb, *rest = expand_run(words)
    training = Training(verb, rest)
    options = training.options
    if verb == "fit" and not options.trainer.fast_dev_run:
        root = Path(options.trainer.default_root_dir or "logs").expanduser()
        with claimed(root, options.name, options.ckpt_path) as claim:
            training.directory, options.ckpt_path = claim
            training.run()
    else:
        training.run()
    # Left to Python's own end, which frees what gloo's threads still hold, that now and then aborts
    # a process whose work is done, and with it the whole job.
    if distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()


class Training:
    """A command about one model and one dataset: fit, validate, test or predict.

    A BadArgumentsError says that the words, or a file that they name, cannot be used. The run's
    ``directory`` is None where nothing is kept.
    """

    def __init__(self, verb: str, words: list[str]) -> None:
        self.verb = verb
        self.directory: RunDirectory | None = None
        self.parser = training_parser(verb)
        self.dropped: dict[tuple[str, str], str] = {}
        with bad_arguments():
            check_files(words)
            with classes_from_their_defaults(self._note_dropped):
                self.options = parsed(self.parser, words)
            if self.options.seed_everything is not False:
                seed = self.options.seed_everything
                seed = seed_everything(None if seed is True else seed, workers=True)
                self.options.seed_everything = seed
            if verb == "fit":  # config.yaml keeps it: run again, it is the next version
                self.options.name = self.options.name or name_of(self.options)
            path = self.options.ckpt_path
            if path is None and verb != "fit":
                raise UserError(NO_RUN)
            if path not in (None, "last") and not Path(path).is_file():
                raise UserError(f"ckpt_path: expected the file of a checkpoint, got {path!r}.")
        kept = self.options.clone()
        kept.ckpt_path = None if path == "last" else path  # run again, it is one of its own
        self.config_text = self.parser.dump(kept, skip_unset=False)

    def run(self) -> None:
        """Build everything, and do what the verb says."""
        self._build()
        with supervised(self.trainer):
            {"fit": self._fit, "predict": self._predict}.get(self.verb, self._evaluate)()

    def _note_dropped(self, before: str, now: str, arguments: dict[str, Any]) -> None:
        """Keep what was said for a class in whose place another stands, its defaults aside."""
        try:
            accepted = parameters(imported(before))
        except ImportError:  # the parser's own guess, where nothing was said
            return
        said = [(name, value) for name, value in arguments.items() if value is not None]
        names = [name for name, v in said if name in accepted and accepted[name].default != v]
        if names:
            old, new = before.rpartition(".")[2], now.rpartition(".")[2]
            self.dropped[before, now] = (
                f"{new} stands in the place of {old}, and has its own defaults: {', '.join(names)} "
                f"of {old} {'is' if len(names) == 1 else 'are'} dropped"
            )

    def _build(self) -> None:
        """Build data, model and trainer; a fault in their arguments is a bad argument."""
        options = self.options
        try:
            if self.directory:
                for logger in as_list(options.trainer.logger):
                    point_logger(logger, self.directory)
            run = self.directory or RunDirectory.around(Path(options.ckpt_path or "."))
            keep_inside(options.trainer, run.path if run else None)
            if self.verb != "fit":  # for pictures of a test
                place = run.path if run else Path(options.ckpt_path).parent
                options.trainer.default_root_dir = str(place)
            parts = self.parser.instantiate_classes(options)
            self.model: LightningModule = parts.model
            self.data: LightningDataModule = parts.data
            self._keep_arguments()
            self._begin()
            record, seed = None, options.seed_everything
            if self.directory:
                seed = None if seed is False else seed
                record = RecordRun(self.directory, self.config_text, seed)
            draw = record is not None and options.default_pictures
            self.pictures: list[Picture] = as_list(parts.pictures)
            self.prior: Prior | None = parts.fit_prior
            if self.prior is not None and self.verb == "fit":
                check_prior(self.model, self.prior)
            if self.verb != "fit" and options.prior == "fitted":
                folder = Path(options.trainer.default_root_dir)
                use_kept_prior(self.model, folder, Path(options.ckpt_path))
            self.trainer = make_trainer(
                parts.trainer, self.model, self.data, record, self.pictures, draw=draw
            )
        except Exception as error:
            if told := fault_of_a_constructor(error):
                raise BadArgumentsError(told) from error
            raise

    def _begin(self) -> None:
        """Let the model have the weights that it begins with, or see that it can go on."""
        options, path = self.options, self.options.ckpt_path
        if self.verb == "fit":
            begin(self.model, options.init_from, options.init_strict, options.freeze, resumes=path)
        if path is not None:
            check_same_model(self.model, Path(path))

    def _keep_arguments(self) -> None:
        """Let a model or dataset that keeps no arguments itself keep those of the configuration."""
        config = yaml.safe_load(self.config_text)
        for key, part in (("model", self.model), ("data", self.data)):
            if not isinstance(part, KeepsArguments):
                given = config[key]
                arguments = given.get("init_args", {}) | given.get("dict_kwargs", {})
                if key == "model":
                    arguments |= linked_arguments(type(part), self.data)
                keep_arguments(part, given["class_path"], arguments)

    def _fit(self) -> None:
        """Say what was decided, and train."""
        for line in self.dropped.values():
            rank_zero_info(line)
        if own := self.options.get("model.init_args.architecture.init_args.decoder_widths"):
            rank_zero_info(f"The decoder's own widths are architecture.decoder_widths {[*own]}")
        path, test = self.options.ckpt_path, self.options.test_after_fit
        parts = self.model, self.data, self.directory, path
        train(self.trainer, *parts, test=test, prior=self.prior)

    def _evaluate(self) -> None:
        """Say the result, and keep the scores beside the checkpoint's run."""
        evaluate = self.trainer.validate if self.verb == "validate" else self.trainer.test
        path = self.options.ckpt_path
        evaluate(self.model, self.data, ckpt_path=path, weights_only=True, verbose=False)
        checkpoint = Path(path)
        report_evaluation(self.trainer, RunDirectory.around(checkpoint.resolve()), str(checkpoint))
        folder = run_directory(self.trainer) / "images"
        for picture in self.pictures:
            draws = self.verb == "test" and picture.of_test
            drawn = f"in {folder}" if draws else "none here; see lightning-gen draw"
            rank_zero_info(f"Pictures    {type(picture).__name__}: {drawn}")

    def _predict(self) -> None:
        """Write the codes of the test split beside the checkpoint's run."""
        if not able(self.model, (Encodes,)):
            raise UserError(
                f"predict writes the code of each image, and {type(self.model).__name__} has none. "
                "Choose a run of a model with an encoder."
            )
        checkpoint = self.options.ckpt_path
        path = RunDirectory.of(Path(checkpoint)).path / "codes.npz"
        batches: list[Any] | None = self.trainer.predict(
            self.model, self.data, ckpt_path=checkpoint, weights_only=True
        )
        with draft(path) as unfinished:
            np.savez(unfinished, codes=torch.cat(batches or []).float().numpy())
        rank_zero_info(f"Codes       {path}")


@bad_arguments()
def expand_run(words: list[str]) -> list[str]:
    """``VERB RUN ...`` as ``VERB --config RUN/config.yaml --ckpt_path BEST ...``.

    The nodes that trained the run are not those of now: one, unless the words say otherwise. A
    BadArgumentsError says that there is no such run.
    """
    verb, *rest = words
    if verb == "fit" or (rest and rest[0].startswith("-")):
        return words
    if not rest:
        raise UserError(NO_RUN)
    place = Path(rest[0])
    directory = RunDirectory.of(place)
    checkpoint = place if place.suffix in CHECKPOINTS else directory.best
    config = str(directory.path / CONFIG)
    one = ["--trainer.num_nodes", "1"]
    return [verb, "--config", config, "--ckpt_path", str(checkpoint), *one, *rest[1:]]


def name_of(options: Namespace) -> str:
    """The name of a run: that of the configuration file, or one made of the model and the data."""
    if options.config:
        return Path(str(options.config[-1])).stem
    model, data = (part.class_path.rpartition(".")[2] for part in (options.model, options.data))
    return default_name(model, data, options.data.get("init_args", {}))


def parsed(parser: Parser, words: list[str]) -> Namespace:
    """The options that the words of one of these verbs give; a UserError where they give none."""
    try:
        options = parser.parse_args(classes_first(words))
    except BadArgumentsError as error:
        raise UserError(explain(str(error), error, words)) from error
    check_configuration(options)
    return options
