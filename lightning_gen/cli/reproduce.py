"""The verb reproduce: published results, measured again."""

import argparse
from pathlib import Path

from lightning_gen.cli import VERBS
from lightning_gen.cli.outcome import outcome
from lightning_gen.cli.sweep_arguments import Parser
from lightning_gen.errors import BadArgumentsError, UserError, bad_arguments
from lightning_gen.runs.reproduce.measured import HEADER, measure, published, row
from lightning_gen.runs.reproduce.table import Target, find, read_table
from lightning_gen.runs.reproduce.training import Finished, NotRunError, finished, train

DESCRIPTION = """\
{summary}: lightning-gen {example}

Each run of a target is a fit in a process of its own, logs/reproduce_<target>_<number>. The same
command goes on where it was stopped, and takes runs that have finished as they are. What was
measured is printed, each score as a row of a Markdown table, too.
"""


def run(words: list[str]) -> int:
    """Reproduce targets; the exit code, 1 where one was missed or not run."""
    return outcome("reproduce", lambda: reproduce(parse(words[1:])))


def parse(words: list[str]) -> argparse.Namespace:
    """The options.

    Raises:
        BadArgumentsError: there is no target, or an option is unknown.
    """
    verb = VERBS["reproduce"]
    parser = Parser(
        prog="lightning-gen reproduce",
        description=DESCRIPTION.format(summary=verb.summary, example=verb.example),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("targets", nargs="*", metavar="TARGET", help="names of the table")
    add("--list", action="store_true", help="show the table, and train nothing")
    add("--fresh", action="store_true", help="train anew, finished or not")
    add("--table", type=Path, default=Path("conf/reproduce.yaml"), metavar="FILE",
        help="the published results (default: conf/reproduce.yaml)")  # fmt: skip
    add("--trainer.default_root_dir", dest="root", type=Path, default=Path("logs"),
        metavar="FOLDER", help="where the runs stand (default: logs)")  # fmt: skip
    given = parser.parse_args(words)
    if not given.targets and not given.list:
        raise BadArgumentsError("pass a target, or --list: lightning-gen reproduce TARGET.")
    return given


def reproduce(given: argparse.Namespace) -> None:
    """Train what is left, print what was measured.

    Raises:
        UserError: a target was missed or could not be run.
    """
    with bad_arguments():
        table = read_table(given.table)
        targets = [find(table, name) for name in dict.fromkeys(given.targets)]
    if given.list:
        print("\n\n".join(described(each) for each in targets or table.values()))
        return
    try:
        verdicts = {target.name: verdict(target, given) for target in targets}
    except KeyboardInterrupt:
        raise UserError("stopped. The same command goes on where it stopped.") from None
    failed = [f"{name} {found}" for name, found in verdicts.items() if found != "reached"]
    if failed:
        raise UserError(f"{len(failed)} of {len(verdicts)} not reached: {'; '.join(failed)}")


def described(target: Target) -> str:
    """A target in a few lines."""
    runs = len(target.combinations)
    lines = [
        f"{target.name}    {target.tier}; {runs} run{'s' * (runs > 1)}",
        f"  source   {target.source}",
        f"  setting  {target.setting}",
        f"  here     {target.here}",
        f"  needs    {target.needs}",
        f"  config   {target.config}",
    ]
    for score in target.scores:
        sign = "at most" if score.better == "lower" else "at least"
        asked = f"{published(score)} {score.unit}".rstrip()
        lines.append(f"  score    {score.name}: published {asked}, asked {sign} {score.bound:.4g}")
    return "\n".join(lines)


def verdict(target: Target, given: argparse.Namespace) -> str:
    """Train the runs of a target and say what they measured: reached, missed, not run or failed."""
    try:
        runs = [each_run(target, number, given) for number in range(len(target.combinations))]
        cards = [run.cards for run in runs]
        found = [(score, measure(score, cards, target.combinations)) for score in target.scores]
    except UserError as error:
        result = "not run" if isinstance(error, NotRunError) else "failed"
        print(f"{target.name}: {result}: {error}")
        return result
    for score, measured in found:
        sign = "reached" if measured.reached else "missed"
        value = f"{measured.in_words(score.bound)} {score.unit}".rstrip()
        print(
            f"{target.name}  {measured.metric}: published {published(score)}, measured {value}: "
            f"{sign}"
        )
    print("", HEADER, *(row(target, *pair, runs) for pair in found), "", sep="\n")
    return "reached" if all(measured.reached for _, measured in found) else "missed"


def each_run(target: Target, number: int, given: argparse.Namespace) -> Finished:
    """A finished run: one that is there, unless all are to be fresh, or a new one."""
    found = None if given.fresh else finished(target, number, given.root)
    return found or train(target, number, given.root, fresh=given.fresh)
