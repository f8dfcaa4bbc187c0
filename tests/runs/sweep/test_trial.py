"""A trial's process: its words, its end, and what is read from its run."""

import os
import signal
import subprocess
import sys
import time
from threading import Event, Timer

import pytest

from lightning_gen.runs.sweep.reading import read_sweep
from lightning_gen.runs.sweep.trial import FitProcess, Trial, read_outcome
from lightning_gen.training.directory import RunDirectory
from support.refusals import assert_refused
from support.sweeps import write_sweep


@pytest.fixture
def trial(tmp_path):
    return Trial({"model.latent_dim": 2, "model.widths": "[8, 4]"}, tmp_path / "trial_0003")


def fit_of(tmp_path, **changes):
    changes = {"overrides": {"trainer.max_epochs": 2}} | changes
    return FitProcess(read_sweep(write_sweep(tmp_path, **changes)), ("--data.root", "x"))


def test_the_words_of_a_trial(tmp_path, trial):
    fit = fit_of(tmp_path)
    again = trial._replace(goes_on=True)
    words = fit.command(trial)
    assert words == [
        *(sys.executable, "-P", "-m", "lightning_gen.cli.sweep_trial"),
        *("fit", "--config", str(fit.sweep.config)),
        *("--trainer.max_epochs=2", "--data.root", "x"),
        *("--model.latent_dim=2", "--model.widths=[8, 4]"),
        *("--name", "trial_0003", "--trainer.default_root_dir", str(tmp_path)),
    ]
    assert fit.command(again) == words, "it has no run to go on with"
    begun = RunDirectory.claim(tmp_path, "trial_0003")
    begun.checkpoints.mkdir()
    begun.last.touch()
    assert fit.command(again) == [*words, "--ckpt_path", "last"]
    assert fit.command(trial) == words, "its run failed, and a new one is begun"
    RunDirectory.claim(tmp_path, "trial_0003")
    assert fit.command(again) == words, "the run before is another attempt's"


class Script(FitProcess):
    """Runs Python code in place of a training."""

    def command(self, trial):
        return [sys.executable, "-c", trial.parameters["code"]]


def run_code(tmp_path, trial, code, stop=None):
    script = Script(fit_of(tmp_path).sweep)
    return script(trial._replace(parameters={"code": code}), stop or Event())


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("print('x'); raise ValueError('too hot')", "ValueError: too hot"),
        (
            "import sys; print('lightning-gen fit: no such thing', file=sys.stderr); sys.exit(2)",
            "no such thing",
        ),
        ("print('RuntimeError: no space\\nwandb: synced'); exit(1)", "RuntimeError: no space"),
        ("print('last words'); raise SystemExit(3)", "last words"),
        ("import os; os.kill(os.getpid(), 9)", "it was killed, as the system does"),
        ("pass", "exit code 0, and it printed nothing"),
        ("import sys; sys.exit(f'safe: {sys.flags.safe_path}')", "safe: True"),
    ],
)
def test_a_failed_trial_says_why(code, error, tmp_path, trial):
    outcome = run_code(tmp_path, trial, code)
    assert outcome.value is None
    assert outcome.error.startswith(error)


def test_wandb_shows_the_trials_of_a_sweep_as_one_group(tmp_path, trial, monkeypatch):
    code = "import os, sys; e = os.environ; sys.exit(e['WANDB_RUN_GROUP'] + e['WANDB_JOB_TYPE'])"
    assert run_code(tmp_path, trial, code).error == f"{trial.folder.parent.name}trial"
    monkeypatch.setenv("WANDB_RUN_GROUP", "mine ")
    assert run_code(tmp_path, trial, code).error == "mine trial"


SLEEP = "import pathlib, os, time; pathlib.Path('pid').write_text(str(os.getpid())); "


@pytest.mark.parametrize(
    "stubborn", ["", "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); "]
)
def test_the_process_ends_with_the_sweep(stubborn, tmp_path, trial, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("lightning_gen.runs.sweep.trial.GRACE_SECONDS", 0.3)
    stop = Event()
    Timer(1.0, stop.set).start()
    start = time.monotonic()
    assert run_code(tmp_path, trial, f"{stubborn}{SLEEP}time.sleep(60)", stop) is None
    assert time.monotonic() - start < 20
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_a_training_that_is_told_to_end_was_cut_off(tmp_path, trial):
    code = "import os, time; os.kill(os.getpid(), 15); time.sleep(9)"
    assert run_code(tmp_path, trial, code) is None


WATCHED = """
import signal, time
from lightning_gen.cli import sweep_trial
sweep_trial.GRACE_SECONDS = 0.5
signal.signal(signal.SIGTERM, signal.{handler})
sweep_trial.Thread(target=sweep_trial.end_with_stdin, daemon=True).start()
time.sleep(60)
"""


@pytest.mark.parametrize(
    ("handler", "number"), [("SIG_DFL", signal.SIGTERM), ("SIG_IGN", signal.SIGKILL)]
)
def test_a_training_ends_when_its_input_does(handler, number):
    """As when the sweep is killed, whose end of the pipe is gone with it."""
    words = [sys.executable, "-c", WATCHED.format(handler=handler)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, start_new_session=True) as training:
        training.stdin.close()
        assert training.wait(30) == -number


def run_with(tmp_path, text):
    run = RunDirectory(tmp_path / "run" / "version_0")
    run.path.mkdir(parents=True)
    run.metrics.write_text(text)
    return run


METRICS = """\
epoch,step,test/loss,train/loss,val/kl,val/reconstruction
0,5,,9,,
0,9,,,4,90
1,18,,,nan,1
2,27,,,3,80
3,36,,,7,77
3,36,83.5,,,
"""


@pytest.mark.parametrize(
    ("metric", "direction", "value"),
    [
        ("val/reconstruction + val/kl", "minimize", 83),
        ("val/kl", "minimize", 3),
        ("val/kl", "maximize", 7),
        ("test/loss", "minimize", 83.5),
    ],
)
def test_the_metric_is_the_best_of_the_epochs(metric, direction, value, tmp_path):
    sweep = fit_of(tmp_path, metric=metric, direction=direction).sweep
    run = run_with(tmp_path, METRICS)
    assert read_outcome(sweep, run) == (value, "", str(run.path), {"test/loss": 83.5})


def test_a_metric_that_no_run_logs(tmp_path):
    sweep, run = fit_of(tmp_path, metric="val/kll").sweep, run_with(tmp_path, METRICS)
    assert_refused(r"logs no val/kll\. Did you mean val/kl\?", read_outcome, sweep, run)


def test_a_metric_that_was_never_a_number(tmp_path):
    outcome = read_outcome(fit_of(tmp_path).sweep, run_with(tmp_path, "step,val/loss\n3,nan\n4,\n"))
    assert (outcome.value, outcome.error) == (None, "val/loss was never a number")
