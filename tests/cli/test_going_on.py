"""Which run goes on, who may, and what is drawn where nothing is left to train."""

import json
import shutil

import pytest
import torch
import yaml
from filelock import FileLock

from lightning_gen.pictures.picture import snake_case
from support.command import (
    NO_PICTURES,
    SMALL,
    SMALL_MODEL,
    TWO_BATCHES,
    column,
    leave_half,
    only_run,
    runs,
)
from support.datasets import write_images

LAST = ("--ckpt_path", "last")
VQVAE = (
    *("--model", "VQVAE", "--model.codebook.size", "16", "--model.prior.width", "8"),
    *("--model.prior.heads", "1", "--model.prior.depth", "1"),
)
LONGER = ("--trainer.max_epochs", "2", "--data.batch_size", "40", "--seed_everything", "7")


def test_two_processes_do_not_train_one_run(command, in_tmp):
    assert command("fit", *SMALL, "--name", "run").code == 0
    before = (only_run("logs") / "metrics.csv").read_bytes()
    with FileLock(only_run("logs") / ".lock"):
        answer = command("fit", *SMALL, "--name", "run", *LAST, "--trainer.max_epochs", "2")
    answer.refused("version_0 is being trained by another process")
    assert (only_run("logs") / "metrics.csv").read_bytes() == before
    assert command("fit", *SMALL, "--name", "run", *LAST, "--trainer.max_epochs", "2").code == 0
    assert not list(only_run("logs").rglob(".*"))


def test_a_run_without_a_checkpoint_begins_anew_and_leaves_others_alone(command, in_tmp, caplog):
    for _ in range(2):
        assert command("fit", *SMALL, "--name", "run").code == 0
    first, second = runs("logs")
    shutil.rmtree(second / "checkpoints")  # as after a kill before the first one
    kept = (first / "checkpoints" / "last.ckpt").read_bytes()
    command("fit", *SMALL, "--name", "run", *LAST, "--model.latent_dim", "3").done()
    assert "version_1 was ended before its first checkpoint: it begins anew" in caplog.text
    assert (first / "checkpoints" / "last.ckpt").read_bytes() == kept
    assert "latent_dim: 3" in (second / "config.yaml").read_text()
    assert list(column(second, "train/loss")) == [0, 1]


def test_a_training_that_is_over_says_so(command, in_tmp, caplog):
    assert command("fit", *SMALL, "--name", "run").code == 0
    command("fit", *SMALL, "--name", "run", *LAST).done()
    assert "The training is over after 1 epochs, 2 steps. To go on, raise" in caplog.text


def test_other_options_are_said_and_kept(command, in_tmp, caplog):
    assert command("fit", *SMALL, "--name", "run").code == 0
    assert command("fit", *SMALL, "--name", "run", *LAST, *LONGER).code == 0
    said = "The run goes on with trainer.max_epochs 2 (1 before), data.batch_size 40 (50 before)."
    assert said in caplog.text
    config = yaml.safe_load((only_run("logs") / "config.yaml").read_text())
    assert config["trainer"]["max_epochs"] == 2
    assert config["data"]["init_args"]["batch_size"] == 40
    assert config["ckpt_path"] is None
    assert config["seed_everything"] == 0, "that of the run, which goes on"
    first = json.loads((only_run("logs") / "environment.json").read_text())
    assert first["resumed"][0]["changed"] == [
        ["trainer.max_epochs", 1, 2],
        ["data.batch_size", 50, 40],
    ]
    caplog.clear()
    assert command("fit", *SMALL, "--name", "run", *LAST, *LONGER).code == 0
    assert "goes on with trainer" not in caplog.text


def test_without_a_validation_the_best_is_the_latest(command, in_tmp, caplog):
    assert command("fit", *SMALL, "--name", "run").code == 0
    (only_run("logs") / "config.yaml").write_text("a: [b")  # which going on does not need
    words = (*SMALL, "--name", "run", *LAST, "--trainer.limit_val_batches", "0")
    assert command("fit", *words, "--trainer.max_epochs", "2").code == 0
    kept = torch.load(only_run("logs") / "checkpoints" / "best.ckpt")
    assert kept["global_step"] == 4


def test_a_test_on_other_files_is_told(command, in_tmp):
    write_images(in_tmp / "photos", 30)
    data = ("--data", "ImageFolder", "--data.root", "photos", "--data.image_size", "16")
    assert command("fit", *SMALL_MODEL, *data, *NO_PICTURES, *TWO_BATCHES).code == 0
    run = only_run("logs")
    assert run.parent.name == "vae_photos"
    words = ("test", run, "--trainer.enable_progress_bar", "false")
    assert command(*words).code == 0
    write_images(in_tmp / "photos" / "more", 30)
    encode = ("encode", run, "--out", "codes.csv", "--split")
    for split, *told in (("test", *words), ("validation", "validate", *words[1:]),
                         ("test", *encode, "test"), ("validation", *encode, "val")):  # fmt: skip
        with pytest.warns(UserWarning, match=f"images of the {split} split may have been") as seen:
            command(*told).done()
        assert len(seen) == 1


@pytest.mark.parametrize(
    ("model", "chart", "kinds"),
    [
        ((), "CollapseMonitor", ("Samples", "Reconstructions", "LatentScatter")),
        (VQVAE, "CodebookUse", ("Samples",)),
    ],
)
def test_pictures_that_a_kill_left_out_are_drawn(model, chart, kinds, command, in_tmp):
    words = [*SMALL, *model, "--name", "run", "--trainer.callbacks", chart]
    for kind in kinds:
        words += ["--pictures+", kind]
    kinds = (*kinds, chart)
    assert command("fit", *words).code == 0
    folder = only_run("logs") / "images"
    names = [snake_case(kind) for kind in kinds]
    paths = [path for name in names for path in (folder / name).glob("*.png")]
    before = [path.read_bytes() for path in paths]
    for path in paths:
        path.unlink()
        leave_half(path)
    assert command("fit", *words, *LAST).code == 0
    assert [path.read_bytes() for path in paths] == before
    assert len(paths) == len(kinds)
    assert not list(folder.rglob(".*"))


def test_a_longer_patience_goes_on(command, in_tmp, caplog):
    stop = (
        *("--trainer.callbacks", "EarlyStopping", "--trainer.callbacks.monitor", "val/loss"),
        *("--trainer.callbacks.min_delta", "1000", "--trainer.max_epochs", "9"),
    )
    words = (*SMALL, "--name", "run", *stop)
    assert command("fit", *words, "--trainer.callbacks.patience", "1").code == 0
    ended = len(column(only_run("logs"), "val/loss"))
    assert command("fit", *words, "--trainer.callbacks.patience", "1", *LAST).code == 0
    assert "Early stopping ended this run after epoch" in caplog.text
    assert len(column(only_run("logs"), "val/loss")) == ended
    assert command("fit", *words, "--trainer.callbacks.patience", "3", *LAST).code == 0
    assert len(column(only_run("logs"), "val/loss")) == ended + 2
