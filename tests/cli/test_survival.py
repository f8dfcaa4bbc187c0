"""Runs that are killed, told to end, started again, or find their files broken."""

import json
import operator
import os
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from lightning_gen.callbacks import FiniteLoss, Interruption
from support.benchmarks import run
from support.command import MINI_DATA, NO_PICTURES, SMALL_MODEL, column, leave_half, only_run, runs

STEPS = 6
EPOCHS = (
    *("--trainer.accelerator", "cpu", "--trainer.max_epochs", "3"),
    *("--trainer.limit_train_batches", STEPS, "--trainer.limit_val_batches", "2"),
    *("--trainer.limit_test_batches", "3", "--trainer.enable_progress_bar", "false"),
    *("--trainer.log_every_n_steps", "1", "--name", "run"),
)
WORDS = (*SMALL_MODEL, *MINI_DATA, *EPOCHS)
LAST = ("--ckpt_path", "last")
PLATEAU = (
    *("--model.lr_scheduler", "torch.optim.lr_scheduler.ReduceLROnPlateau"),
    *("--model.lr_scheduler.patience", "0", "--model.lr_scheduler.threshold", "1"),
)
"""The rate falls after nearly each epoch."""
SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)


class KilledError(BaseException):
    """What comes instead of the end of the process."""


@pytest.fixture(autouse=True)
def _handlers():
    """Signals mean in the next test what they meant in this one.

    Ctrl-C is heard, as it is not in a background job of a shell.
    """
    before = {number: signal.getsignal(number) for number in SIGNALS}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def at_step(monkeypatch):
    """Lets something happen at the end of a step, before anything is saved there."""

    def plan(step, action):
        def hook(self, trainer, *_):
            if trainer.global_step == step and trainer.training:
                action()

        monkeypatch.setattr(FiniteLoss, "on_train_batch_end", hook)

    return plan


def send(number):
    return lambda: os.kill(os.getpid(), number)


def kill():
    raise KilledError


def state(directory):
    """All of the last checkpoint that must not depend on interruptions."""
    kept = torch.load(directory / "checkpoints" / "last.ckpt", weights_only=True)
    found = {
        f"{number} {key}": value
        for number, values in kept["optimizer_states"][0]["state"].items()
        for key, value in values.items()
    }
    random = kept["callbacks"]["RandomState"]["ranks"][0]["torch"]
    return found | kept["state_dict"] | {"random": random, "schedulers": kept["lr_schedulers"]}


def assert_same(directory, other):
    """Two runs end with the same weights, optimizer and rows, to the bit."""
    one, two = state(directory), state(other)
    assert one.keys() == two.keys()
    for key, value in one.items():
        same = torch.equal if isinstance(value, torch.Tensor) else operator.eq
        assert same(value, two[key]), key
    assert (directory / "metrics.csv").read_text() == (other / "metrics.csv").read_text()


WHOLE = {}


@pytest.fixture
def whole_run(command, tmp_path, tmp_path_factory):
    """A run of these words that nothing disturbed, in ``tmp_path``; each is trained once."""

    def run(*words):
        if words not in WHOLE:
            assert command("fit", *WORDS, *words, "--name", "whole").code == 0
            WHOLE[words] = tmp_path_factory.mktemp("whole") / "logs"
            shutil.move("logs", WHOLE[words])
        shutil.copytree(WHOLE[words], "logs")
        return Path("logs/whole/version_0")

    return run


class TestSignal:
    """SIGTERM, SIGUSR1 and Ctrl-C."""

    @pytest.mark.parametrize("number", SIGNALS)
    def test_the_step_is_finished_and_saved(self, number, command, at_step):
        at_step(8, send(number))
        answer = command("fit", *WORDS, *NO_PICTURES)
        assert answer.code == 128 + number
        directory = only_run("logs")
        line = answer.err.splitlines()[-1]
        assert line == (
            f"lightning-gen fit: {signal.Signals(number).name} ended the run after step 8; "
            f"{directory}/checkpoints/last.ckpt holds the training. The same command with "
            "--ckpt_path last goes on (in Python, fit with resume=True)."
        )
        assert torch.load(directory / "checkpoints/last.ckpt")["global_step"] == 8
        assert list(column(directory, "train/loss")) == list(range(8))

    SCHEDULED = ("--data.binarize", "dynamic", *PLATEAU)
    GATHERED = ("--trainer.accumulate_grad_batches", "3")  # told between steps 2 and 3

    @pytest.mark.parametrize(
        ("step", "words"),
        [(8, SCHEDULED), (2 * STEPS, SCHEDULED), (3 * STEPS, SCHEDULED), (2, GATHERED)],
    )
    def test_the_run_goes_on_as_if_it_had_not_been_told(
        self, step, words, command, at_step, whole_run
    ):
        words = (*NO_PICTURES, *words)
        whole = whole_run(*words)
        at_step(step, send(signal.SIGTERM))
        assert command("fit", *WORDS, *words).code == 128 + signal.SIGTERM
        at_step(0, kill)
        assert command("fit", *WORDS, *words, *LAST).code == 0
        assert_same(whole, whole.parents[1] / "run" / "version_0")

    def test_a_validation_is_left_at_once_and_made_up_for(self, command, monkeypatch, whole_run):
        words = (*NO_PICTURES, *self.SCHEDULED)
        whole = whole_run(*words)

        def tell(callback, trainer, module, batch, batch_index):
            if trainer.global_step == 2 * STEPS and not trainer.sanity_checking:
                assert batch_index == 0, "the validation went on"
                send(signal.SIGTERM)()

        with monkeypatch.context() as patch:
            patch.setattr(FiniteLoss, "on_validation_batch_start", tell, raising=False)
            answer = command("fit", *WORDS, *words)
        assert answer.code == 128 + signal.SIGTERM
        told = whole.parents[1] / "run" / "version_0"
        assert list(column(told, "val/loss")) == [STEPS - 1]
        assert command("fit", *WORDS, *words, *LAST).code == 0
        assert_same(whole, told)

    def test_in_the_test_the_training_stands(self, command, monkeypatch):
        told = send(signal.SIGTERM)
        monkeypatch.setattr(FiniteLoss, "on_test_batch_start", lambda *_: told(), raising=False)
        answer = command("fit", *WORDS, *NO_PICTURES)
        assert answer.code == 128 + signal.SIGTERM
        assert "SIGTERM ended the run in the test after the training;" in answer.err
        directory = only_run("logs")
        assert column(directory, "test/loss") == {}
        monkeypatch.delattr(FiniteLoss, "on_test_batch_start")
        assert command("fit", *WORDS, *NO_PICTURES, *LAST).code == 0
        assert len(column(directory, "train/loss")) == 3 * STEPS
        assert len(column(directory, "test/loss")) == 1

    def test_a_second_ctrl_c_is_at_once(self, monkeypatch, tmp_path):
        sent = []
        monkeypatch.setattr(os, "kill", lambda pid, number: sent.append((pid, number)))
        callback = Interruption(tmp_path / "last.ckpt")
        callback._hear(signal.SIGINT, None)
        assert sent == []
        callback._hear(signal.SIGINT, None)
        assert sent == [(os.getpid(), signal.SIGINT)]
        assert signal.getsignal(signal.SIGINT) == signal.SIG_DFL


def test_a_kill_right_after_a_checkpoint(command, monkeypatch, whole_run):
    """Lightning logs the step after its callbacks."""
    whole = whole_run(*NO_PICTURES)
    save = Interruption.on_train_batch_end

    def save_and_die(self, trainer, *arguments):
        save(self, trainer, *arguments)
        if trainer.global_step == 8:
            kill()

    with monkeypatch.context() as patch:
        patch.setattr(Interruption, "__init__", _eager(Interruption.__init__))
        patch.setattr(Interruption, "on_train_batch_end", save_and_die)
        with pytest.raises(KilledError):
            command("fit", *WORDS, *NO_PICTURES)
    directory = whole.parents[1] / "run" / "version_0"
    assert list(column(directory, "train/loss")) == list(range(8))
    for name, step in (("last.ckpt", 8), ("previous.ckpt", 7)):
        assert torch.load(directory / "checkpoints" / name)["global_step"] == step
    assert command("fit", *WORDS, *NO_PICTURES, *LAST).code == 0
    assert_same(whole, directory)


def _eager(init):
    return lambda self, checkpoint: init(self, checkpoint, minutes=0.0)


def test_a_validation_that_a_kill_has_cut_off_is_made_up_for(command, monkeypatch, whole_run):
    """The checkpoint is from before the validation that its epoch ends with."""
    words = (
        *(*NO_PICTURES, "--trainer.callbacks", "lightning.pytorch.callbacks.ModelCheckpoint"),
        *("--trainer.callbacks.every_n_train_steps", STEPS, "--trainer.callbacks.save_last"),
        *("true", *PLATEAU),
    )
    whole = whole_run(*words)

    def die(callback, trainer, module):
        if trainer.global_step == 2 * STEPS:
            kill()

    with monkeypatch.context() as patch:
        patch.setattr(FiniteLoss, "on_validation_start", die, raising=False)
        with pytest.raises(KilledError):
            command("fit", *WORDS, *words)
    killed = whole.parents[1] / "run" / "version_0"
    assert list(column(killed, "val/loss")) == [STEPS - 1]
    assert command("fit", *WORDS, *words, *LAST).code == 0
    assert list(column(killed, "val/loss")) == [number * STEPS - 1 for number in (1, 2, 3)]
    assert_same(whole, killed)


class TestBrokenCheckpoint:
    """``last.ckpt`` is not what was written."""

    @pytest.fixture
    def directory(self, whole_run):
        return whole_run(*NO_PICTURES).parent.rename("logs/run") / "version_0"

    @pytest.mark.parametrize("fault", ["cut", "flipped"])
    def test_the_former_one_is_used(self, fault, directory, command, caplog):
        last = directory / "checkpoints" / "last.ckpt"
        damage(last, fault)
        command("fit", *WORDS, *NO_PICTURES, *LAST).done()
        place = "logs/run/version_0/checkpoints"
        step = f"the run goes on from previous.ckpt, step {2 * STEPS}"
        assert f"last.ckpt of {place} cannot be read: {step}" in caplog.text
        assert torch.load(last)["global_step"] == 3 * STEPS

    def test_no_whole_one(self, directory, command):
        for path in (directory / "checkpoints").iterdir():
            damage(path, "flipped")
        command("fit", *WORDS, *NO_PICTURES, *LAST).refused("has no whole checkpoint to go on from")


def damage(path, fault):
    content = bytearray(path.read_bytes())
    if fault == "flipped":
        content[len(content) // 2] ^= 1
    path.write_bytes(content[: len(content) // 2] if fault == "cut" else content)


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a disk of 400 KiB of its own."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(place)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a small disk")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_a_full_disk(small_disk, command):
    """The model's checkpoint takes 300 KiB: there is room for one."""
    words = (*WORDS, *NO_PICTURES, "--trainer.default_root_dir", small_disk)
    answer = command("fit", *words, "--model.architecture.widths", "[16]")
    assert answer.code == 1
    line = answer.err.splitlines()[-1]
    assert "the disk is full: " in line
    assert "Free space on that disk" in line
    kept = [torch.load(path) for path in small_disk.rglob("*.ckpt")]
    assert kept
    assert {each["global_step"] for each in kept} <= {STEPS, 2 * STEPS}
    assert not list(small_disk.rglob(".*"))


def test_a_run_that_has_nothing_left_to_train_has_its_checkpoint(command, at_step, caplog):
    at_step(4, send(signal.SIGTERM))  # before the first validation
    assert command("fit", *WORDS, *NO_PICTURES).code == 128 + signal.SIGTERM
    command("fit", *WORDS, *NO_PICTURES, *LAST, "--trainer.max_steps", "4").done()
    assert "Checkpoint  logs/run/version_0/checkpoints/last.ckpt" in caplog.text


def test_an_epoch_cannot_be_cut_where_more_of_it_was_seen(command, at_step):
    at_step(8, send(signal.SIGTERM))
    assert command("fit", *WORDS, *NO_PICTURES).code == 128 + signal.SIGTERM
    answer = command("fit", *WORDS, *NO_PICTURES, *LAST, "--trainer.limit_train_batches", "1")
    assert answer.code == 1
    assert answer.err.splitlines()[-1] == (
        "lightning-gen fit: the checkpoint is from batch 2 of an epoch, and "
        "trainer.limit_train_batches is 1 now. Leave that as it was."
    )


def test_a_run_that_is_deleted_meanwhile(command, at_step):
    at_step(8, lambda: shutil.rmtree("logs/run"))
    answer = command("fit", *WORDS, *NO_PICTURES, "--trainer.limit_train_batches", "30")
    assert answer.code == 1
    said = "'logs/run/version_0/metrics.csv'. It was taken away or replaced while it was needed"
    assert said in answer.err.splitlines()[-1]


def test_half_a_row_and_half_a_checkpoint_are_forgotten(command, at_step, whole_run):
    whole = whole_run(*NO_PICTURES)
    at_step(8, send(signal.SIGTERM))
    assert command("fit", *WORDS, *NO_PICTURES).code != 0
    directory = whole.parents[1] / "run" / "version_0"
    with (directory / "metrics.csv").open("a") as file:
        file.write("1,1")  # of step 12, say
    half = leave_half(directory / "checkpoints" / "last.ckpt")
    at_step(0, kill)
    assert command("fit", *WORDS, *NO_PICTURES, *LAST).code == 0
    assert_same(whole, directory)
    assert not half.exists()


class TestCluster:
    """A job that a cluster starts again."""

    def start(self, command, monkeypatch, *words, job="7", restarts="0"):
        words = [str(word) for word in ("fit", *WORDS, *NO_PICTURES, *words)]
        monkeypatch.setattr(sys, "argv", ["lightning-gen", *words])
        monkeypatch.setenv("SLURM_JOB_ID", job)
        monkeypatch.setenv("SLURM_RESTART_COUNT", restarts)
        return command(*words)

    def test_goes_on_by_itself(self, command, monkeypatch, at_step, whole_run):
        whole = whole_run(*NO_PICTURES)
        at_step(8, send(signal.SIGTERM))
        self.start(command, monkeypatch)
        at_step(0, kill)
        assert self.start(command, monkeypatch, restarts="1").code == 0
        directory = whole.parents[1] / "run" / "version_0"
        assert_same(whole, directory)
        environment = json.loads((directory / "environment.json").read_text())
        assert environment["job"] == "slurm 7"
        assert [start["step"] for start in environment["resumed"]] == [8]

    @pytest.mark.parametrize(
        ("words", "changes"),
        [((), {"job": "8"}), ((), {"restarts": "0"}), (("--seed_everything", "1"), {})],
    )
    def test_another_job_is_another_run(self, words, changes, command, monkeypatch):
        self.start(command, monkeypatch)
        self.start(command, monkeypatch, *words, **({"restarts": "1"} | changes))
        assert len(runs("logs")) == 2

    def test_one_that_has_no_checkpoint_yet_starts_anew_in_its_place(
        self, command, monkeypatch, at_step
    ):
        at_step(2, kill)
        with pytest.raises(KilledError):
            self.start(command, monkeypatch)
        at_step(0, kill)
        assert self.start(command, monkeypatch, restarts="1").code == 0
        assert len(column(only_run("logs"), "train/loss")) == 3 * STEPS

    @pytest.mark.parametrize(
        ("number", "asked"), [(signal.SIGUSR1, ["requeue 7"]), (signal.SIGTERM, [])]
    )
    def test_asks_to_be_queued_again(
        self, number, asked, command, monkeypatch, at_step, tmp_path, caplog
    ):
        program = tmp_path / "bin" / "scontrol"
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\n')
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
        at_step(8, send(number))
        assert self.start(command, monkeypatch).code == 128 + number
        path = tmp_path / "asked"
        assert (path.read_text().splitlines() if path.exists() else []) == asked
        assert ("Slurm has queued job 7 again" in caplog.text) == bool(asked)


@pytest.mark.slow
def test_sigkill_at_random_times(tmp_path):
    results = run("kills.py", tmp_path, "--kills", "10")
    results.pop("machine")
    assert len(results) == 5
    for family, found in results.items():
        assert found["survived"] == found["kills"] == 2, (family, found)
        assert found["differences"] == []
