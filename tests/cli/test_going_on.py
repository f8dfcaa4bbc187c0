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
)
from support.datasets import write_images

LAST = ("--ckpt_path", "last")
VQVAE = (
    *("--model", "VQVAE", "--model.codebook.size", "16", "--model.prior.width", "8"),
    *("--model.prior.heads", "1", "--model.prior.depth", "1"),
)
LONGER = ("--trainer.max_epochs", "2", "--data.batch_size", "40", "--seed_everything", "7")


def test_two_processes_do_not_train_one_run(fit, command):
    run = fit()
    before = (run / "metrics.csv").read_bytes()
    with FileLock(run / ".lock"):
        answer = command("fit", *SMALL, "--name", "run", *LAST, "--trainer.max_epochs", "2")
    answer.refused("version_0 is being trained by another process")
    assert (run / "metrics.csv").read_bytes() == before
    fit(*LAST, "--trainer.max_epochs", "2")
    assert not list(run.rglob(".*"))


def test_a_run_without_a_checkpoint_begins_anew_and_leaves_others_alone(fit, caplog):
    first, second = fit(), fit()
    shutil.rmtree(second / "checkpoints")  # as after a kill before the first one
    kept = (first / "checkpoints" / "last.ckpt").read_bytes()
    fit(*LAST, "--model.latent_dim", "3")
    assert "version_1 was ended before its first checkpoint: it begins anew" in caplog.text
    assert (first / "checkpoints" / "last.ckpt").read_bytes() == kept
    assert "latent_dim: 3" in (second / "config.yaml").read_text()
    assert list(column(second, "train/loss")) == [0, 1]


def test_a_training_that_is_over_says_so(fit, caplog):
    fit()
    fit(*LAST)
    assert "The training is over after 1 epochs, 2 steps. To go on, raise" in caplog.text


def test_other_options_are_said_and_kept(fit, caplog):
    fit()
    run = fit(*LAST, *LONGER)
    said = "The run goes on with trainer.max_epochs 2 (1 before), data.batch_size 40 (50 before)."
    assert said in caplog.text
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert config["trainer"]["max_epochs"] == 2
    assert config["data"]["init_args"]["batch_size"] == 40
    assert config["ckpt_path"] is None
    assert config["seed_everything"] == 0, "that of the run, which goes on"
    first = json.loads((run / "environment.json").read_text())
    assert first["resumed"][0]["changed"] == [
        ["trainer.max_epochs", 1, 2],
        ["data.batch_size", 50, 40],
    ]
    caplog.clear()
    fit(*LAST, *LONGER)
    assert "goes on with trainer" not in caplog.text


def test_without_a_validation_the_best_is_the_latest(fit):
    run = fit()
    (run / "config.yaml").write_text("a: [b")  # which going on does not need
    fit(*LAST, "--trainer.limit_val_batches", "0", "--trainer.max_epochs", "2")
    assert torch.load(run / "checkpoints" / "best.ckpt")["global_step"] == 4


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
def test_pictures_that_a_kill_left_out_are_drawn(model, chart, kinds, fit):
    words = [*model, "--trainer.callbacks", chart]
    for kind in kinds:
        words += ["--pictures+", kind]
    kinds = (*kinds, chart)
    folder = fit(*words) / "images"
    names = [snake_case(kind) for kind in kinds]
    paths = [path for name in names for path in (folder / name).glob("*.png")]
    before = [path.read_bytes() for path in paths]
    for path in paths:
        path.unlink()
        leave_half(path)
    fit(*words, *LAST)
    assert [path.read_bytes() for path in paths] == before
    assert len(paths) == len(kinds)
    assert not list(folder.rglob(".*"))


def test_a_longer_patience_goes_on(fit, caplog):
    stop = (
        *("--trainer.callbacks", "EarlyStopping", "--trainer.callbacks.monitor", "val/loss"),
        *("--trainer.callbacks.min_delta", "1000", "--trainer.max_epochs", "9"),
        "--trainer.callbacks.patience",
    )
    run = fit(*stop, "1")
    ended = len(column(run, "val/loss"))
    fit(*stop, "1", *LAST)
    assert "Early stopping ended this run after epoch" in caplog.text
    assert len(column(run, "val/loss")) == ended
    fit(*stop, "3", *LAST)
    assert len(column(run, "val/loss")) == ended + 2
