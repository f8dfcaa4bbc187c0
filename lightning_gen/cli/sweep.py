"""The verb sweep: one experiment with many values of its parameters."""

import argparse
import os
import shlex
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn

import torch
from optuna.distributions import CategoricalDistribution
from tqdm import tqdm

from lightning_gen.cli.files import check_files
from lightning_gen.cli.outcome import outcome
from lightning_gen.cli.own_parsers import sweep_parser
from lightning_gen.cli.parser import training_parser
from lightning_gen.cli.recipes import FOLDERS, recipes
from lightning_gen.cli.training import parsed
from lightning_gen.errors import BadArgumentsError, InterruptionError, UserError, bad_arguments
from lightning_gen.runs.sweep.reading import RESERVED, SweepFile, check_free, read_sweep
from lightning_gen.runs.sweep.results import best_table
from lightning_gen.runs.sweep.space import Space, StudyValue
from lightning_gen.runs.sweep.study import Study
from lightning_gen.runs.sweep.trial import FitProcess, as_words, fit_words
from lightning_gen.runs.sweep.wandb_file import write_wandb
from lightning_gen.runs.sweep.workers import Sweep


class SweepInterruptionError(InterruptionError):
    """A sweep was told to end by a signal of this number."""

    def __init__(self, number: int) -> None:
        self.signal = signal.Signals(number)
        UserError.__init__(
            self, f"{self.signal.name} ended the sweep. The same command goes on where it stopped."
        )


def run(words: list[str]) -> int:
    """Run the sweep of a file; the exit code."""

    def task() -> None:
        with told_to_end():
            sweep(*parse(words[1:]))

    return outcome("sweep", task)


def parse(words: list[str]) -> tuple[SweepFile, argparse.Namespace, tuple[str, ...]]:
    """The sweep, its options, and what is left for every ``fit``."""
    if not words or words[0].startswith("-"):
        raise BadArgumentsError("pass the sweep's file first: lightning-gen sweep FILE [options].")
    given, rest = sweep_parser().parse_known_args(words[1:])
    with bad_arguments():
        file = read_sweep(Path(words[0]), recipes(*FOLDERS["config"]))
        keys = [word.partition("=")[0].strip("-+") for word in rest if word.startswith("--")]
        check_free(keys, RESERVED, "the sweep itself gives it")
        check_free(keys, file.parameters, f"{file.path} varies it")
    if file.grid and given.trials:
        raise BadArgumentsError(f"--trials: a grid runs each of its {file.trials} combinations.")
    check_values(file, tuple(rest))
    return file, given, tuple(rest)


def check_values(file: SweepFile, rest: tuple[str, ...]) -> None:
    """Raise a BadArgumentsError where ``fit`` would refuse a value, before anything is trained."""
    values = {key: ends(space) for key, space in file.parameters.items()}
    first = {key: each[0] for key, each in values.items()}
    changed = [first | {key: value} for key, each in values.items() for value in each[1:]]
    parser_of_fit = training_parser("fit")
    for each in [first, *changed]:
        words = [*fit_words(file, rest), *as_words(each)][1:]
        try:
            check_files(words)
            parsed(parser_of_fit, words)
        except UserError as error:
            raise BadArgumentsError(f"{file.path}: {error}") from error


def ends(space: Space) -> tuple[StudyValue, ...]:
    """The values of a choice, or both ends of a range."""
    if isinstance(space, CategoricalDistribution):
        return tuple(space.choices)
    return space.low, space.high


def sweep(file: SweepFile, given: argparse.Namespace, rest: tuple[str, ...]) -> None:
    """Run what is left of the sweep; a UserError where no trial of it succeeded."""
    if given.write_wandb:
        write_wandb(file, rest, given.trials, Path(given.write_wandb))
        print(f"Sweep file  {given.write_wandb}")
        return
    name = given.name or file.path.stem
    folder = Path(given.root) / name
    with bad_arguments():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            study = Study(file, name, folder, storage=given.storage, trials=given.trials)
        except OSError as error:
            raise UserError(f"{error}. Pass another --trainer.default_root_dir.") from error
    done = sum(trial.state.is_finished() for trial in study.trials().values())
    hidden = True if os.environ.get("TQDM_DISABLE") else None  # None: but on a terminal
    with tqdm(total=study.wanted, initial=done, desc="sweep", unit="trial", disable=hidden) as bar:
        runner = FitProcess(file, rest, environments(given.jobs))
        work = Sweep(study, runner, lambda line: (bar.write(line), bar.update()))
        found = work.run(given.jobs, retry_failed=given.retry_failed)
    states = {trial.user_attrs["number"]: study.state(trial) for trial in found}
    failed = [*states.values()].count("failed")
    if failed == len(found):
        raise UserError(
            f"all {failed} trials failed; the output of each is in {folder}/trial_*/output.log. "
            "Mend the cause and add --retry_failed."
        )
    if failed:
        print(f"{failed} of {len(found)} trials failed; --retry_failed runs them once more.")
    if elsewhere := [str(number) for number, state in states.items() if state == "running"]:
        print(f"Another process still runs trial {', '.join(elsewhere)}.")
    print(best_table(file, found))
    print(f"Results     {folder / 'results.csv'}")
    print(f"Plot        {folder / 'results.png'}")
    print(f"Compare     lightning-gen compare {shlex.quote(str(folder))}/trial_*")


def environments(jobs: int) -> tuple[dict[str, str], ...]:
    """For each of the trials that run at once, its share of the GPUs and of the CPU cores."""
    if jobs == 1:
        return ({},)
    threads = str(max(1, (os.cpu_count() or 1) // jobs))
    cores = {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", threads)}
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    gpus = visible.split(",") if visible else [str(n) for n in range(torch.cuda.device_count())]
    if not gpus:
        return (cores,) * jobs
    shares = [gpus[slot::jobs] or [gpus[slot % len(gpus)]] for slot in range(jobs)]
    return tuple(cores | {"CUDA_VISIBLE_DEVICES": ",".join(share)} for share in shares)


@contextmanager
def told_to_end() -> Iterator[None]:
    """Let Ctrl-C, or a batch system's SIGTERM, end all by a SweepInterruptionError, trials first.

    A signal that this process was started to ignore, as a shell does for jobs in the background,
    stays ignored.
    """
    handlers = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    handlers = {each: before for each, before in handlers.items() if before != signal.SIG_IGN}

    def interrupt(number: int, frame: FrameType | None) -> NoReturn:
        for each in handlers:  # a second one would stop the wait for the trials
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt(number)

    try:
        for each in handlers:
            signal.signal(each, interrupt)
        yield
    except KeyboardInterrupt as interruption:
        raise SweepInterruptionError(interruption.args[0]) from None
    finally:
        for each, before in handlers.items():
            signal.signal(each, before)
