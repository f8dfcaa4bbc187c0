"""Files of strangers: nothing in them runs, and each is answered in one line."""

import errno
import multiprocessing
import os
import pickle
import re
import shutil
import signal
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data._utils import signal_handling

from lightning_gen.callbacks import FiniteLoss
from lightning_gen.cli import VERBS
from lightning_gen.cli.outcome import lost_worker, outcome
from lightning_gen.data import image_folder
from lightning_gen.training.checkpoint import load_checkpoint
from support.bombs import Evil, write_bomb
from support.command import NO_PICTURES, SMALL, SMALL_MODEL, runs
from support.datasets import write_images
from support.permissions import permissions_bind


@pytest.fixture
def exploded(tmp_path):
    """What code of a file leaves."""
    return tmp_path / "exploded"


@pytest.fixture
def run_of_ones_own(finished, tmp_path):
    """A copy of a finished run, to be spoilt."""
    return shutil.copytree(finished, tmp_path / "logs" / "own" / "version_0")


def bare_pickle(path, content):
    path.write_bytes(pickle.dumps(content))


def zip_of_torch(path, content):
    torch.save(content, path)


def old_file_of_torch(path, content):
    torch.save(content, path, _use_new_zipfile_serialization=False)


def zip_with_another_pickle(path, content):
    """A whole file of torch, only whose data.pkl is exchanged."""
    torch.save({"state_dict": {"weight": torch.ones(2)}}, path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, member in members.items():
            evil = name.endswith("data.pkl")
            archive.writestr(name, pickle.dumps(content, protocol=2) if evil else member)


def words_of(verb, run, checkpoint, codes):
    """The words that make a verb read a checkpoint."""
    place = [str(checkpoint)]
    if verb == "fit":
        return [*SMALL, "--ckpt_path", *place]
    if verb == "decode":
        return [*place, str(codes)]
    if verb == "draw":
        return [*place, "Samples"]
    if verb == "arithmetic":
        return [*place, "Bag", "Coat", "Dress"]
    if verb == "push":
        return [*place, "user/name", "--license", "mit"]
    return [*place, str(run)] if verb == "compare" else place


WITHOUT_MODEL = ("sweep", "reproduce", "recipes", "film", "wandb-workspace")
READERS = [verb for verb in VERBS if verb not in WITHOUT_MODEL]
"""The verbs that take a run or a checkpoint."""


@pytest.fixture
def codes(tmp_path):
    """A file for decode."""
    np.savez(tmp_path / "codes.npz", codes=np.zeros((1, 2), np.float32))
    return tmp_path / "codes.npz"


@pytest.mark.parametrize(
    ("verb", "write"),
    [
        *((verb, zip_with_another_pickle) for verb in READERS),
        *(("sample", write) for write in (bare_pickle, old_file_of_torch)),
        *((verb, "in a run") for verb in ("test", "encode", "compare", "report")),
    ],
)
def test_code_in_a_checkpoint_does_not_run(
    verb, write, command, run_of_ones_own, finished, exploded, codes
):
    checkpoint = run_of_ones_own / "checkpoints" / "best.ckpt"
    content = load_checkpoint(checkpoint) | {"callbacks": Evil(exploded)}
    (zip_of_torch if write == "in a run" else write)(checkpoint, content)
    place = run_of_ones_own if write == "in a run" else checkpoint
    answer = command(verb, *words_of(verb, finished, place, codes))
    assert not exploded.exists()
    if verb == "report":  # it reads no checkpoint
        answer.done()
        return
    broken = "best.ckpt is broken, or holds something else than the plain values"
    answer.refused(broken, "nothing in it was run")


def test_the_last_run_is_not_trusted_either(command, run_of_ones_own, exploded, caplog):
    bare_pickle(run_of_ones_own / "checkpoints" / "last.ckpt", {"state_dict": Evil(exploded)})
    answer = command("fit", *SMALL, "--name", "own", "--ckpt_path", "last")
    assert (answer.code, exploded.exists()) == (0, False)
    assert "last.ckpt of logs/own/version_0/checkpoints cannot be read" in caplog.text


@pytest.mark.parametrize("write", [zip_of_torch, zip_with_another_pickle])
def test_code_in_the_weights_of_a_classifier_does_not_run(write, command, exploded, tmp_path):
    write(tmp_path / "own.ckpt", {"state_dict": {}, "hyper_parameters": Evil(exploded)})
    quality = ("--trainer.callbacks", "SampleQuality")
    extractor = "--trainer.callbacks.extractor"
    answer = command(
        *("fit", *SMALL, *quality, extractor, "TrainedClassifier"),
        *(f"{extractor}.checkpoint", tmp_path / "own.ckpt"),
    )
    answer.refused("TrainedClassifier.checkpoint")
    assert not exploded.exists()


@pytest.mark.parametrize("name", ["config.yaml", "own.yaml"])
def test_code_in_a_configuration_does_not_run(name, command, run_of_ones_own, exploded):
    path = run_of_ones_own / name
    text = f"x: !!python/object/apply:os.mkdir ['{exploded}']\n"
    path.write_text(text)
    words = [["fit", "--config", path]]
    if name == "config.yaml":
        verbs = ("validate", "encode", "report", "compare")
        words += [[verb, *words_of(verb, run_of_ones_own, run_of_ones_own, "")] for verb in verbs]
    for each in words:
        command(*each).refused(name)
        assert not exploded.exists()


def changed(path, change):
    """A checkpoint in which something was exchanged."""
    torch.save(change(load_checkpoint(path)), path)


def each_weight(value):
    return lambda kept: kept | {"state_dict": dict.fromkeys(kept["state_dict"], value)}


def without(name):
    return lambda kept: {key: value for key, value in kept.items() if key != name}


def having(**parts):
    return lambda kept: kept | parts


VERSION = "pytorch-lightning_version"


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (having(hyper_parameters=None), "it has no hyper_parameters by names"),
        (having(hyper_parameters={"_class_path": 3}), "trained with class_path 3, and this run"),
        (having(hyper_parameters={}, state_dict={}), "encoder.1.weight are missing, expected 8x7"),
        (having(state_dict={"own": torch.ones(2)}), "its weights own are 2, expected none"),
        (each_weight("x"), "encoder.1.weight are str, expected 8x784"),
        (lambda kept: {"state_dict": kept["state_dict"]}, f"it has no {VERSION}"),
        *(
            (having(**{VERSION: each}), f"it has {each!r} as its {VERSION}")
            for each in ("", "x", None, 3)
        ),
        (without("optimizer_states"), "cannot be restored (KeyError"),
        (having(optimizer_states=[{"state": 3}]), "cannot be restored (KeyError"),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_one_line(change, line, command, run_of_ones_own):
    checkpoint = run_of_ones_own / "checkpoints" / "best.ckpt"
    changed(checkpoint, change)
    answer = command("fit", *SMALL, "--ckpt_path", checkpoint)
    answer.refused(line)
    assert f"{checkpoint} " in answer.line or "class_path" in line
    for verb in ("test", "sample"):  # which need neither the optimizer nor, some, the loops
        answer = command(verb, checkpoint)
        assert answer.code == 2 if answer.err else "restored" in line
        assert " as its " not in line or line in answer.line
    assert [run.name for run in runs("logs")] == ["version_0"], "a directory was left behind"


def test_weights_without_hyperparameters_are_taken_where_they_fit(command, run_of_ones_own):
    """A model of one's own need not remember its arguments."""
    checkpoint = run_of_ones_own / "checkpoints" / "best.ckpt"
    changed(checkpoint, without("hyper_parameters"))
    assert command("test", run_of_ones_own).code == 0
    assert "the model None, which cannot be imported" in command("sample", run_of_ones_own).line


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("told", ["at once", "when its batch is awaited"])
def test_a_worker_that_is_killed(told, command, monkeypatch):
    """As a system without memory does.

    Torch's handler of signals tells it at once, the first time that a process trains. Lightning
    takes the handler away with the first training, and torch looks once a batch is late. On a
    busy machine the signal may find torch in the destructor of a loader, which tells of it too.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # else Lightning puts another test's back
    before = multiprocessing.active_children()
    monkeypatch.setattr(signal_handling, "_SIGCHLD_handler_set", False)

    def kill(*_):
        if workers := set(multiprocessing.active_children()) - set(before):
            if told != "at once":
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for worker in workers:
                os.kill(worker.pid, signal.SIGKILL)
            if told == "at once":
                time.sleep(60)
                raise AssertionError("torch has not noticed it")

    monkeypatch.setattr(FiniteLoss, "on_train_batch_start", kill)
    monkeypatch.setattr(image_folder, "IN_MEMORY_BYTES", 0)
    write_images(Path("photos"), 40)
    photos = ("--data", "ImageFolder", "--data.root", "photos", "--data.image_size", "16")
    options = ("--data.batch_size", "4", "--data.num_workers", "2", "--trainer.accelerator", "cpu")
    long = ("--trainer.max_epochs", "1000", "--trainer.enable_progress_bar", "false")
    # Without a validation, whose workers torch no longer looks after once they end.
    long += ("--trainer.limit_val_batches", "0")
    answer = command("fit", *SMALL_MODEL, *photos, *options, *long, *NO_PICTURES)
    assert answer.code == 1
    last = answer.err.splitlines()[-1]
    assert last.startswith("lightning-gen fit: a process that loads images was ended from outside")
    assert "most likely the memory ran out. Set data.num_workers to a smaller number, 0" in last
    assert "Traceback" not in answer.err


def test_a_worker_without_shared_memory():
    said = "DataLoader worker (pid 7) is killed by signal: Bus error. It is possible that"
    assert "the shared memory (/dev/shm) ran out" in str(lost_worker(RuntimeError(said)))
    assert lost_worker(RuntimeError("CUDA error")) is None


@pytest.mark.parametrize("kind", [ConnectionResetError, EOFError, FileNotFoundError])
def test_a_worker_that_is_gone_when_its_batch_is_fetched(kind, capsys):
    def rebuild_storage_fd():
        raise kind("by peer")

    def of_the_users_own():
        raise kind("by peer")

    assert outcome("fit", rebuild_storage_fd) == 1
    assert f"ended from outside: {kind.__name__} while a batch" in capsys.readouterr().err
    with pytest.raises(kind):
        outcome("fit", of_the_users_own)


def test_a_verb_leaves_a_bomb_and_a_truncated_image_out(command, tmp_path, finished):
    photos = tmp_path / "photos"
    write_images(photos, 11)
    write_bomb(photos / "bomb.png", whole=False)
    Image.effect_noise((64, 64), 99).save(photos / "cut.png")
    content = (photos / "cut.png").read_bytes()
    (photos / "cut.png").write_bytes(content[: len(content) // 2])
    answer = command("encode", finished, "--images", photos, "--out", "codes.csv").done()
    assert "2 of 13 images cannot be read: 'bomb.png' (DecompressionBombError" in answer.out
    assert "'cut.png' (OSError: image file is truncated" in answer.out
    assert len(Path("codes.csv").read_text().splitlines()) == 12
    command("encode", finished, "--images", photos / "bomb.png", "--out", "codes.csv").refused(
        "1 of 1 images cannot be read: 'bomb.png' (DecompressionBombError"
    )


@pytest.mark.parametrize("words", [(), ("--trainer.default_root_dir", "logs/below")])
@pytest.mark.parametrize("kind", ["forbidden", "a file"])
def test_logs_that_cannot_be_written(kind, words, command, tmp_path):
    if kind == "forbidden":
        (tmp_path / "logs").mkdir(mode=0o500)
    else:
        (tmp_path / "logs").write_text("")
    with permissions_bind():
        answer = command("fit", *SMALL, *words)
    assert answer.code == 2
    said = "the run cannot be written to logs/.*: .*. Pass a folder of your own with --trainer.defa"
    assert re.search(said, answer.line)


def test_a_file_in_place_of_the_runs_of_a_name(command, tmp_path):
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "own").write_text("")
    assert "logs/own is a file. Pass another --name" in command("fit", *SMALL, "--name", "own").line


@pytest.mark.parametrize("verb", ["predict", "test", "sample", "report"])
def test_a_run_that_may_not_be_written(verb, command, run_of_ones_own):
    run_of_ones_own.chmod(0o500)
    with permissions_bind():
        answer = command(verb, run_of_ones_own)
    run_of_ones_own.chmod(0o700)
    if verb == "test":  # it prints the result, and has no score to keep
        assert answer.code == 0
        return
    assert answer.code in (1, 2)
    assert "Permission denied" in answer.line
    assert str(run_of_ones_own) in answer.line


def test_a_run_that_can_no_longer_be_written(command, monkeypatch):
    """The disk was mounted anew after the first epoch."""

    def read_only(content, path, *arguments, **options):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), "last.ckpt")

    monkeypatch.setattr(torch, "save", read_only)
    answer = command("fit", *SMALL)
    assert answer.code == 1
    assert "Read-only file system" in answer.err.splitlines()[-1]
