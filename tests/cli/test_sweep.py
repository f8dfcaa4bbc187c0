"""The verb sweep, from its words to its exit code."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from lightning_gen.cli import sweep as verb
from lightning_gen.cli.sweep import environments
from lightning_gen.runs.sweep import workers
from lightning_gen.training.directory import RunDirectory
from lightning_gen.training.metrics_file import read_rows
from support.command import TWO_BATCHES
from support.processes import start
from support.sweeps import GRID, RANDOM, FakeFit, results_in, write_sweep

RUN = [sys.executable, "-m", "lightning_gen", "sweep", "own.yaml"]
TWO = {"model.latent_dim": [2, 4]}
TINY = GRID | {"parameters": {"model.architecture.widths": [[8], [16, 8]]}}


@pytest.fixture
def fake(monkeypatch):
    """The trials take no time; what is asked for them."""
    fit = FakeFit()

    def make(file, words, environments):
        fit.words, fit.environments = words, environments
        return fit

    monkeypatch.setattr(verb, "FitProcess", make)
    monkeypatch.setattr(workers, "write_results", lambda *_: None)  # which test_results.py sees
    return fit


@pytest.mark.slow
def test_a_sweep_of_two_trainings(tmp_path):
    """In processes, as a user runs it."""
    write_sweep(tmp_path, TINY)
    words = [*RUN, "--jobs", "2", *TWO_BATCHES]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "trial 1: widths [16, 8]: val/loss " in done.stdout
    folder = tmp_path / "logs" / "own"
    for row in results_in(folder):
        assert row["state"] == "complete"
        assert float(row["val/loss"]) > 0 < float(row["test/loss"])
        run = RunDirectory(tmp_path / row["directory"])
        widths = yaml.safe_load((run.path / "config.yaml").read_text())["model"]["init_args"][
            "architecture"
        ]["init_args"]["widths"]
        assert str(widths) == row["model.architecture.widths"]
        assert "Test loss" in (run.path.parent / "output.log").read_text()
    assert (folder / "results.png").is_file()


def alive(group):
    """Whether a process of the group lives."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.slow
def test_a_sweep_that_is_stopped_goes_on(tmp_path):
    """Its training ends with it, and goes on with it, from the last checkpoint."""
    write_sweep(tmp_path, TINY | {"parameters": {"model.latent_dim": [2]}})
    words = ["sweep", "own.yaml", "--trainer.limit_train_batches", "2", "--trainer.max_epochs"]
    folder = tmp_path / "logs/own/trial_0000_latent_dim=2"
    begun = RunDirectory(folder / "version_0")
    for trainings, number in enumerate((signal.SIGINT, signal.SIGTERM, signal.SIGKILL), start=1):
        process = start([*words, "100000"], tmp_path)
        before = begun.last.stat().st_mtime if begun.last.is_file() else 0
        wait_for(lambda: len(begun.starts) == trainings, 240)  # noqa: B023  (called here)
        wait_for(lambda: begun.last.is_file() and begun.last.stat().st_mtime > before, 60)  # noqa: B023
        [training] = [child for child in children(process.pid) if os.getpgid(child) == child]
        os.kill(process.pid, number)
        process.join(60)
        killed = number == signal.SIGKILL
        assert process.exitcode == (-number if killed else 128 + number)
        if not killed:
            name = signal.Signals(number).name
            assert (tmp_path / "stderr.txt").read_text().splitlines() == [
                f"lightning-gen sweep: {name} ended the sweep. The same command goes on where it "
                "stopped."
            ]
        wait_for(lambda: not alive(training), 30)  # noqa: B023
    last = start([*words, int(read_rows(begun.metrics)[-1]["epoch"]) + 3], tmp_path)
    last.join(240)
    assert last.exitcode == 0
    assert [row["state"] for row in results_in(tmp_path / "logs/own")] == ["complete"]
    assert RunDirectory.all_of(folder.parent, folder.name) == [begun]
    assert len(begun.starts) == 4, "the run that was cut off went on each time"


def wait_for(condition, seconds):
    """Wait until it holds."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it took too long"
        time.sleep(0.1)


def children(pid):
    """Of a process."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(word) for task in tasks for word in (task / "children").read_text().split()]


def test_what_is_said_at_the_end(command, fake, tmp_path):
    write_sweep(tmp_path, parameters=TWO)
    answer = command("sweep", "own.yaml", "--jobs", 2, "--trainer.max_epochs", 2).done()
    assert fake.words == ("--trainer.max_epochs", "2")
    assert len(fake.environments) == 2
    lines = answer.out.splitlines()
    assert sum(line.startswith("trial ") and "(0 s)" in line for line in lines) == 2
    assert lines[-3:] == [
        "Results     logs/own/results.csv",
        "Plot        logs/own/results.png",
        "Compare     lightning-gen compare logs/own/trial_*",
    ]
    again = command("sweep", "own.yaml", "--name", "other", "--trainer.default_root_dir", "here")
    assert again.out.endswith("lightning-gen compare here/other/trial_*\n")


def test_failed_trials(command, fake, tmp_path):
    write_sweep(tmp_path, parameters=TWO)
    fake.failing = range(2)
    answer = command("sweep", "own.yaml")
    assert answer.code == 1
    assert answer.line.startswith("lightning-gen sweep: all 2 trials failed; the output of each")
    fake.failing = [0]
    answer = command("sweep", "own.yaml", "--retry_failed").done()
    assert "1 of 2 trials failed; --retry_failed runs them once more." in answer.out


@pytest.mark.parametrize(
    ("place", "number"), [("parse", signal.SIGINT), ("write_wandb", signal.SIGTERM)]
)
def test_a_signal_before_the_first_trial_is_one_line(number, place, command, tmp_path, monkeypatch):
    write_sweep(tmp_path)
    monkeypatch.setattr(verb, place, lambda *_: os.kill(os.getpid(), number))
    before = signal.signal(number, signal.default_int_handler)
    try:
        answer = command("sweep", "own.yaml", "--write-wandb", "x.yaml")
        assert signal.getsignal(number) is signal.default_int_handler
    finally:
        signal.signal(number, before)
    assert answer.code == 128 + number
    assert answer.line.startswith(f"lightning-gen sweep: {number.name} ended the sweep")


def test_a_signal_that_is_ignored_stays_so(command, fake, tmp_path, monkeypatch):
    """As in the background of a shell."""
    write_sweep(tmp_path, parameters=TWO)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    write = verb.Sweep._write
    monkeypatch.setattr(verb.Sweep, "_write", lambda s: os.kill(os.getpid(), 2) or write(s))
    try:
        assert command("sweep", "own.yaml").code == 0
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(
    ("changes", "words", "match"),
    [
        ({"parameters": {"model.latnt_dim": [2]}}, (), "own.yaml: model.latnt_dim is no option"),
        ({"parameters": {"model.latent_dim": [2, "x"]}}, (), "latent_dim: expected int, got x"),
        ({"overrides": {"trainer.max_epoch": 2}}, (), "Did you mean trainer.max_epochs"),
        ({}, ("--job", 2), "job is no option"),
        ({}, ("--jobs", 0), "--jobs: expected a whole number of at least 1, got 0"),
        ({}, ("--trials", 3), "--trials: a grid runs each of its 6 combinations"),
        ({}, ("--ckpt_path", "last"), "ckpt_path cannot be set here"),
        ({}, ("--model.init_args.latent_dim=3",), "model.init_args.latent_dim cannot be set here"),
        ({}, ("--storage", "sweep.db"), "storage: expected an SQLAlchemy URL"),
        ({}, ("stray",), "stray is no option"),
    ],
)
def test_bad_arguments(changes, words, match, command, fake, tmp_path):
    write_sweep(tmp_path, **changes)
    answer = command("sweep", "own.yaml", *words)
    answer.refused(match)
    assert answer.line.startswith("lightning-gen sweep: ")
    assert fake.calls == []


def test_the_file_comes_first(command):
    assert "pass the sweep's file first" in command("sweep").line
    assert "pass the sweep's file first" in command("sweep", "--jobs", 2).line
    assert "there is no file none.yaml" in command("sweep", "none.yaml").line


def test_the_file_of_weights_and_biases(command, fake, tmp_path):
    write_sweep(tmp_path, RANDOM)
    answer = command("sweep", "own.yaml", "--write-wandb", "wandb.yaml", "--trials", 9).done()
    assert answer.out == "Sweep file  wandb.yaml\n"
    assert yaml.safe_load((tmp_path / "wandb.yaml").read_text())["run_cap"] == 9
    assert fake.calls == []
    assert not (tmp_path / "logs").exists()


def test_trials_at_once_share_the_machine(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,6")
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    assert environments(1) == ({},)
    assert [env["CUDA_VISIBLE_DEVICES"] for env in environments(2)] == ["4,6", "5"]
    assert [env["CUDA_VISIBLE_DEVICES"] for env in environments(4)] == ["4", "5", "6", "4"]
    assert {env["OMP_NUM_THREADS"] for env in environments(4)} == {"2"}
