"""The words of the verbs that have a parser of their own; nothing heavy is imported for their help.

``sweep`` and ``reproduce`` start ``fit`` in processes of their own.
"""

import argparse
from pathlib import Path
from typing import NoReturn

from lightning_gen.errors import BadArgumentsError

SWEEP = """\
{summary}: lightning-gen {example}

Each trial is a fit in a process of its own. The same command goes on where it was stopped. In
logs/<name>: results.csv, results.png, sweep.db, and for each trial a folder named after its values
with its run and its output.log. Where a sampler has a seed, trial n is drawn with seed + n.
"""
REPRODUCE = """\
{summary}: lightning-gen {example}

Each run of a target is a fit in a process of its own, logs/reproduce_<target>_<number>. The same
command goes on where it was stopped, and takes runs that have finished as they are. What was
measured is printed, each score as a row of a Markdown table, too.
"""


LISTING = """\
{summary}: lightning-gen {example}

Without a name it lists them, with the paper, the time and the result of each. A name stands where a
file would: lightning-gen fit --config quickstart, --model vae, --data mnist, --trainer gpu.
"""
WORKSPACE = """\
{summary}: lightning-gen {example}

It has the curves by step and by epoch with their units, the best scores, the pictures by step and
the tables of the project's latest runs. pip install 'lightning-gen[wandb-workspace]' first.
"""
RECIPES = Path(__file__).parents[1] / "conf"
"""The folder of the configurations that come with the package."""


class OwnParser(argparse.ArgumentParser):
    """A parser that raises where argparse prints a page of usage and exits."""

    def __init__(self, usage: str, description: str) -> None:
        super().__init__(
            usage=f"lightning-gen {usage}",
            description=description,
            formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(prog, 2, 38, 100),
            add_help=False,
            allow_abbrev=False,
        )

    def error(self, message: str) -> NoReturn:
        """Raise BadArgumentsError with argparse's own message."""
        raise BadArgumentsError(message)


def sweep_parser(summary: str = "", example: str = "") -> OwnParser:
    """The words after the file of a sweep."""
    usage = "sweep FILE [options] [any option of fit]"
    found = OwnParser(usage, SWEEP.format(summary=summary, example=example))
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


def reproduce_parser(summary: str = "", example: str = "") -> OwnParser:
    """The targets to reproduce, and how."""
    usage = "reproduce [options] TARGET ..."
    found = OwnParser(usage, REPRODUCE.format(summary=summary, example=example))
    add = found.add_argument
    add("targets", nargs="*", metavar="TARGET", help="names of the table")
    add("--list", action="store_true", help="show the table, and train nothing")
    add("--fresh", action="store_true", help="train anew, finished or not")
    add("--table", type=Path, default=RECIPES / "reproduce.yaml", metavar="FILE",
        help="the published results (default: those of the package)")  # fmt: skip
    add("--trainer.default_root_dir", dest="root", type=Path, default=Path("logs"),
        metavar="FOLDER", help="where the runs stand (default: logs)")  # fmt: skip
    return found


def recipes_parser(summary: str = "", example: str = "") -> OwnParser:
    """The recipe to show, and where it is copied to."""
    found = OwnParser(
        "recipes [NAME] [--copy FILE]", LISTING.format(summary=summary, example=example)
    )
    found.add_argument("name", nargs="?", metavar="NAME", help="print this one")
    found.add_argument("--copy", type=Path, metavar="FILE", help="write it there instead")
    return found


def workspace_parser(summary: str = "", example: str = "") -> OwnParser:
    """The project whose runs are laid out."""
    found = OwnParser(
        "wandb-workspace [ENTITY/PROJECT]", WORKSPACE.format(summary=summary, example=example)
    )
    found.add_argument("project", nargs="?", default="lightning_gen", metavar="ENTITY/PROJECT",
        help="of W&B (default: lightning_gen, of the user that is logged in)")  # fmt: skip
    return found


def count(text: str) -> int:
    """A whole number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text}")
    return int(text)


OWN_PARSERS = {
    "sweep": sweep_parser,
    "reproduce": reproduce_parser,
    "recipes": recipes_parser,
    "wandb-workspace": workspace_parser,
}
