"""The verb reproduce: published results, measured again."""

import argparse

from lightning_gen.cli.outcome import outcome
from lightning_gen.cli.own_parsers import reproduce_parser
from lightning_gen.errors import UserError, bad_arguments, nearest
from lightning_gen.runs.reproduce.measured import (
    HEADER,
    Finished,
    NotRunError,
    finished,
    measured_score,
    published_range,
    row,
    train_run,
)
from lightning_gen.runs.reproduce.table import Target, read_targets


def run(words: list[str]) -> int:
    """Reproduce targets; the exit code, 1 where one was missed or not run."""
    return outcome("reproduce", lambda: reproduce(words[1:]))


def reproduce(words: list[str]) -> None:
    """Train what is left, print what was measured; a UserError where that missed a target."""
    given = reproduce_parser().parse_args(words)
    with bad_arguments():
        if not given.targets and not given.list:
            raise UserError("pass a target, or --list: lightning-gen reproduce TARGET.")
        table = read_targets(given.table)
        for name in given.targets:
            if name not in table:
                raise UserError(f"there is no target {name}{nearest(name, table)}")
        targets = [table[name] for name in dict.fromkeys(given.targets)]
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
        least = "at most" if score.better == "lower" else "at least"
        known = f"published {published_range(score)} {score.unit}".rstrip()
        asked = f"{known}, asked {least} {score.bound:.4g}"
        lines.append(f"  score    {' or '.join(score.names)}: {asked}")
    return "\n".join(lines)


def verdict(target: Target, given: argparse.Namespace) -> str:
    """Train the runs of a target and say what they measured: reached, missed, not run or failed."""
    runs: list[Finished] = []
    try:
        for number in range(len(target.combinations)):
            run = None if given.fresh else finished(target, number, given.root)
            runs.append(run or train_run(target, number, given.root, fresh=given.fresh))
        cards = [run.cards for run in runs]
        found = [
            (score, measured_score(score, cards, target.combinations)) for score in target.scores
        ]
    except UserError as error:
        result = "not run" if isinstance(error, NotRunError) else "failed"
        print(f"{target.name}: {result}: {error}")
        return result
    for score, measured in found:
        sign = "reached" if measured.reached else "missed"
        value = f"{measured.in_words(score.bound)} {score.unit}".rstrip()
        known = f"{target.name}  {measured.metric}: published {published_range(score)}"
        print(f"{known}, measured {value}: {sign}")
    print("", HEADER, *(row(target, *pair, runs) for pair in found), "", sep="\n")
    return "reached" if all(measured.reached for _, measured in found) else "missed"
