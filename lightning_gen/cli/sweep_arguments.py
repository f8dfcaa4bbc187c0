"""The arguments of the verb sweep, and whether ``fit`` takes what it will be given."""

import argparse
from pathlib import Path
from typing import NoReturn

from optuna.distributions import BaseDistribution, CategoricalDistribution

from lightning_gen.cli import VERBS
from lightning_gen.cli.files import check_files
from lightning_gen.cli.parser import training_parser
from lightning_gen.cli.training import parsed
from lightning_gen.errors import BadArgumentsError, UserError, bad_arguments
from lightning_gen.runs.sweep.reading import RESERVED, SweepFile, check_free, read_sweep
from lightning_gen.runs.sweep.space import Plain
from lightning_gen.runs.sweep.trial import fit_words, options

DESCRIPTION = """\
{summary}: lightning-gen {example}

Each trial is a fit in a process of its own. The same command goes on where it was stopped. In
logs/<name>: results.csv, results.png, sweep.db, and for each trial a folder named after its values
with its run and its output.log. Where a sampler has a seed, trial n is drawn with seed + n.
"""


class Parser(argparse.ArgumentParser):
    """A parser that raises where argparse prints a page of usage and exits."""

    def error(self, message: str) -> NoReturn:
        """Raise BadArgumentsError with argparse's own message."""
        raise BadArgumentsError(message)


def parser() -> Parser:
    """The options of the sweep itself."""
    verb = VERBS["sweep"]
    found = Parser(
        prog="lightning-gen sweep",
        usage="lightning-gen sweep FILE [options] [any option of fit, given to every trial]",
        description=DESCRIPTION.format(summary=verb.summary, example=verb.example),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = found.add_argument
    add("--name", metavar="NAME", help="name of the sweep (default: the file's)")
    add("--trials", type=count, metavar="N", help="trials in all (default: the file's)")
    add("--jobs", type=count, default=1, metavar="N", help="trials at once (default: 1)")
    add("--storage", metavar="URL", help="an SQLAlchemy URL that machines share (default: SQLite)")
    add("--retry_failed", action="store_true", help="run trials that failed once more")
    add("--write-wandb", metavar="FILE", help="write a sweep file of W&B, and train nothing")
    add("--trainer.default_root_dir", dest="root", default="logs", metavar="FOLDER",
        help="where the sweep's folder stands (default: logs)")  # fmt: skip
    return found


def count(text: str) -> int:
    """A whole number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text}")
    return int(text)


def parse(words: list[str]) -> tuple[SweepFile, argparse.Namespace, tuple[str, ...]]:
    """The sweep, its options, and what is left for every ``fit``."""
    if {"-h", "--help"} & set(words):
        parser().parse_args(["--help"])
    if not words or words[0].startswith("-"):
        raise BadArgumentsError("pass the sweep's file first: lightning-gen sweep FILE [options].")
    given, rest = parser().parse_known_args(words[1:])
    with bad_arguments():
        file = read_sweep(Path(words[0]))
        keys = [word.partition("=")[0].strip("-+") for word in rest if word.startswith("--")]
        check_free(keys, RESERVED, "the sweep itself gives it")
        check_free(keys, file.parameters, f"{file.path} varies it")
    if file.sampler is None and given.trials:
        raise BadArgumentsError(f"--trials: a grid runs each of its {file.trials} combinations.")
    check_values(file, tuple(rest))
    return file, given, tuple(rest)


def check_values(file: SweepFile, rest: tuple[str, ...]) -> None:
    """Raise a BadArgumentsError where ``fit`` would refuse a value, before anything is trained."""
    first = {key: ends(parameter)[0] for key, parameter in file.parameters.items()}
    changed = [
        first | {key: value}
        for key, parameter in file.parameters.items()
        for value in ends(parameter)[1:]
    ]
    parser_of_fit = training_parser("fit")
    for values in [first, *changed]:
        words = [*fit_words(file, rest), *options(values)][1:]
        try:
            check_files(words)
            parsed(parser_of_fit, words)
        except UserError as error:
            raise BadArgumentsError(f"{file.path}: {error}") from error


def ends(parameter: BaseDistribution) -> tuple[Plain, ...]:
    """The values of a choice, or both ends of a range."""
    if isinstance(parameter, CategoricalDistribution):
        return tuple(parameter.choices)
    return parameter.low, parameter.high  # type: ignore[attr-defined]
