"""The verb sweep: one experiment with many values of its parameters."""

import argparse
from pathlib import Path

from lightning_gen.cli.outcome import outcome
from lightning_gen.cli.parser import BadArgumentsError
from lightning_gen.cli.sweep_arguments import parse
from lightning_gen.cli.sweep_machine import environments, progress, sigterm_as_ctrl_c
from lightning_gen.errors import UserError
from lightning_gen.runs.sweep.results import Result, best_table
from lightning_gen.runs.sweep.study import Study
from lightning_gen.runs.sweep.sweep_file import SweepFile
from lightning_gen.runs.sweep.trial import FitProcess
from lightning_gen.runs.sweep.trials import Sweep
from lightning_gen.runs.sweep.wandb_file import write_wandb


def run(words: list[str]) -> int:
    """Run the sweep of a file; the exit code."""
    return outcome("sweep", lambda: sweep(*parse(words[1:])))


def sweep(file: SweepFile, given: argparse.Namespace, rest: tuple[str, ...]) -> None:
    """Run what is left of the sweep.

    Raises:
        UserError: it was stopped, or no trial of it succeeded.
    """
    if given.write_wandb:
        write_wandb(file, rest, given.trials, Path(given.write_wandb))
        print(f"Sweep file  {given.write_wandb}")
        return
    name = given.name or file.path.stem
    folder = Path(given.root) / name
    study = open_study(file, name, folder, given)
    done = [trial for trial in study.trials() if trial.state.is_finished()]
    with progress(study.wanted, len(done) - study.forgiven) as bar, sigterm_as_ctrl_c():
        runner = FitProcess(file, rest, environments(given.jobs))
        work = Sweep(study, folder, runner, bar.write, bar.update)
        try:
            found = work.run(given.jobs)
        except KeyboardInterrupt:
            ended = sum(result.state != "running" for result in work.write())
            raise UserError(
                f"stopped after {ended} of {study.wanted} trials. The same command goes on where "
                "it stopped."
            ) from None
    conclude(file, found, folder)


def open_study(file: SweepFile, name: str, folder: Path, given: argparse.Namespace) -> Study:
    """The sweep's study, in a folder that is made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return Study(
            file,
            name,
            folder,
            storage=given.storage,
            trials=given.trials,
            retry_failed=given.retry_failed,
        )
    except (UserError, OSError) as error:
        raise BadArgumentsError(str(error)) from error


def conclude(file: SweepFile, found: list[Result], folder: Path) -> None:
    """Say what was found."""
    failed = sum(result.state == "failed" for result in found)
    if failed == len(found):
        raise UserError(
            f"all {failed} trials failed; the output of each is in {folder}/trial_*/output.log. "
            "Mend the cause and add --retry_failed."
        )
    if failed:
        print(f"{failed} of {len(found)} trials failed; --retry_failed runs them once more.")
    print(best_table(file, found))
    print(f"Results     {folder / 'results.csv'}")
    print(f"Plot        {folder / 'results.png'}")
