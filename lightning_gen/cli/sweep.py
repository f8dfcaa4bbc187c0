"""The verb sweep: one experiment with many values of its parameters."""

import argparse
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn

import torch
from tqdm import tqdm

from lightning_gen.cli.outcome import outcome
from lightning_gen.cli.sweep_arguments import parse
from lightning_gen.errors import InterruptionError, UserError, bad_arguments
from lightning_gen.runs.sweep.reading import SweepFile
from lightning_gen.runs.sweep.results import Result, best_table
from lightning_gen.runs.sweep.study import Study
from lightning_gen.runs.sweep.trial import FitProcess
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


def sweep(file: SweepFile, given: argparse.Namespace, rest: tuple[str, ...]) -> None:
    """Run what is left of the sweep.

    Raises:
        UserError: no trial of it succeeded.
    """
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
        work = Sweep(study, folder, runner, bar.write, bar.update)
        found = work.run(given.jobs, retry_failed=given.retry_failed)
    conclude(file, found, folder)


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
    elsewhere = [str(result.number) for result in found if result.state == "running"]
    if elsewhere:
        print(f"Another process still runs trial {', '.join(elsewhere)}.")
    print(best_table(file, found))
    print(f"Results     {folder / 'results.csv'}")
    print(f"Plot        {folder / 'results.png'}")


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
    """End by Ctrl-C, or by a batch system's SIGTERM, once the trials have ended.

    A signal that this process was started to ignore, as a shell does for jobs in the background,
    stays ignored.

    Raises:
        SweepInterruptionError: a signal came.
    """
    signals = signal.SIGINT, signal.SIGTERM
    before = {each: signal.getsignal(each) for each in signals}
    heard = [each for each in signals if before[each] != signal.SIG_IGN]

    def interrupt(number: int, frame: FrameType | None) -> NoReturn:
        for each in heard:  # a second one would stop the wait for the trials
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt(number)

    try:
        for each in heard:
            signal.signal(each, interrupt)
        yield
    except KeyboardInterrupt as interruption:
        raise SweepInterruptionError(interruption.args[0]) from None
    finally:
        for each in heard:
            signal.signal(each, before[each])
