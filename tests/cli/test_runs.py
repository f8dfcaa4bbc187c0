"""What a run leaves behind, and what can be done with it afterwards."""

import json
import logging
import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from lightning_gen.cli import outcome
from lightning_gen.cli.training import expand_run
from lightning_gen.data import MiniFashionMNIST
from lightning_gen.training import quiet
from support.arrays import arrays_of
from support.command import (
    NO_PICTURES,
    SMALL,
    assert_whole,
    column,
    only_run,
    rows,
    runs,
)

TEST_IMAGES = 2000


def pictures(directory):
    return {folder.name for folder in (directory / "images").glob("*")}


def test_a_finished_run_is_whole(finished):
    assert_whole(finished, pictures=False)
    environment = json.loads((finished / "environment.json").read_text())
    assert environment["seed"] == 0
    assert environment["devices"] == ["cpu"]
    assert environment["packages"]["torch"] == torch.__version__.partition("+")[0]


def test_its_config_runs_it_again(fit, command, tmp_path):
    words = ("--trainer.limit_train_batches", "6", "--seed_everything", "7")
    first = fit(*words)
    header = (first / "config.yaml").read_text().splitlines()[0]
    again = re.search(r"lightning-gen (fit .*) runs it again", header)[1].split()
    assert command(*again).code == 0
    second = first.parent / "version_1"
    assert len(rows(first)) > 3
    assert rows(first) == rows(second)
    assert rows(fit(*words, "--seed_everything", "8")) != rows(first)


def test_the_printed_test_loss_is_the_logged_one(fit, command, caplog):
    directory = fit()
    (value,) = column(directory, "test/loss").values()
    assert f"Test loss {value:.2f} nats per image (reconstruction " in caplog.text
    for place in (directory, directory / "checkpoints" / "best.ckpt"):
        caplog.clear()
        assert command("test", place).code == 0
        assert f"Test loss {value:.2f} nats per image" in caplog.text
    assert len(column(directory, "test/loss")) == 1, "test wrote into the run"


def test_validate(finished, command, caplog):
    assert command("validate", finished).code == 0
    (value,) = column(finished, "val/loss").values()
    assert f"Validation loss {value:.2f} nats per image" in caplog.text


def test_a_test_draws_the_codes_by_any_projection(fit, command):
    directory = fit()
    words = ("--pictures", "LatentScatter", "--pictures.projection", "TSNE")
    assert command("test", directory, *words).code == 0
    assert (directory / "images" / "latent_scatter_test" / "best.png").is_file()


@pytest.mark.parametrize(("every", "steps"), [(25, [24, 49]), (200, [59])])
def test_the_last_step_of_a_short_epoch_is_logged(every, steps, fit):
    directory = fit("--trainer.limit_train_batches", 60, "--trainer.log_every_n_steps", every)
    assert list(column(directory, "train/loss")) == steps


def test_predict_writes_the_codes_of_the_test_images(fit, command):
    directory = fit()
    before = {path.name for path in directory.iterdir()}
    command("predict", directory, "--trainer.precision", "bf16-mixed").done()
    assert {path.name for path in directory.iterdir()} == before | {"codes.npz"}
    arrays = arrays_of(directory / "codes.npz")
    assert list(arrays) == ["codes"]
    assert arrays["codes"].shape == (TEST_IMAGES, 2)
    assert arrays["codes"].dtype == np.float32
    assert np.isfinite(arrays["codes"]).all()


def test_a_run_without_a_test_a_seed_or_a_root_folder(fit, tmp_path):
    words = ("--seed_everything", "false", "--trainer.default_root_dir", "null")
    directory = fit("--test_after_fit", "false", *words)
    assert directory.parent.parent == tmp_path / "logs"
    assert column(directory, "val/loss")
    assert not any(name.startswith("test/") for name in rows(directory)[0])
    assert json.loads((directory / "environment.json").read_text())["seed"] is None


def test_fast_dev_run_leaves_nothing(command, tmp_path):
    command("fit", *SMALL, "--trainer.fast_dev_run", "true").done()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ((), "vae_minifashionmnist"),
        (("--config", "own config.yaml"), "own config"),
        (("--config", "own config.yaml", "--name", "given"), "given"),
    ],
)
def test_name(words, name, command, tmp_path):
    (tmp_path / "own config.yaml").write_text("seed_everything: 1\n")
    command("fit", *words, *SMALL).done()
    first = only_run(tmp_path / "logs")
    assert first.parent.name == name
    if name.startswith("vae"):  # it runs again under the name that it was given
        assert command("fit", "--config", first / "config.yaml").code == 0
        assert runs(tmp_path / "logs") == [first, first.parent / "version_1"]


def test_widths_of_the_decoder_are_said(fit, caplog):
    fit("--model.architecture.decoder_widths", "[8, 9]")
    assert "The decoder's own widths are architecture.decoder_widths [8, 9]" in caplog.text


LATENT = {"arithmetic", "interpolation", "latent_grid", "traversal"}
LATENT |= {"latent_scatter", "latent_scatter_test"}
ALL = {"reconstructions", "samples", "loss_curves", "collapse_monitor"}
CONDITIONAL = "conditional_samples"
STOPPING = ("--trainer.callbacks.monitor", "val/loss")


class TestCallbacks:
    """``trainer.callbacks``."""

    @pytest.mark.parametrize(
        ("words", "expected"),
        [
            (("--model", "AE"), {"reconstructions", "loss_curves", *LATENT}),
            (("--trainer.callbacks", "EarlyStopping", *STOPPING), {*ALL, *LATENT}),
            (("--pictures", "Samples", *NO_PICTURES), {"samples"}),
            (("--pictures", "LatentScatter", "--model", "CVAE"), {*ALL, *LATENT, CONDITIONAL}),
            (
                ("--config", "own.yaml", "--pictures+", "Reconstructions", *NO_PICTURES),
                {"samples", "reconstructions"},
            ),
        ],
    )
    def test_which_pictures_are_drawn(self, words, expected, fit, tmp_path):
        """A list replaces the default ones of its kinds, and a plus appends to it."""
        (tmp_path / "own.yaml").write_text("pictures: [{class_path: Samples}]")
        directory = fit("--default_pictures", "true", *words)
        assert pictures(directory) == expected
        assert_whole(directory, pictures=False)

    def test_a_checkpoint_callback_of_ones_own(self, fit, command):
        words = ("--trainer.callbacks.filename", "{epoch}-{val/loss:.2f}")
        directory = fit("--trainer.callbacks+", "ModelCheckpoint", *words)
        names = {path.name for path in (directory / "checkpoints").iterdir()}
        assert names > {"best.ckpt", "last.ckpt"}
        found = (directory / "checkpoints").rglob("*.ckpt")
        [own] = [path for path in found if path.name not in ("best.ckpt", "last.ckpt")]
        assert command("test", own).code == 0
        assert column(directory, "test/loss")
        assert command("test", directory).code == 0


def test_without_validation(fit, command):
    directory = fit("--data.val_fraction", "0", "--default_pictures", "true")
    assert_whole(directory, pictures=False)
    assert {"reconstructions", "samples"} <= pictures(directory)
    assert not column(directory, "val/loss")
    assert command("test", directory).code == 0


@pytest.mark.filterwarnings("ignore:.*lr_scheduler.step")
def test_a_loss_that_is_no_number(command, tmp_path):
    words = ("--trainer.max_epochs", "4", "--trainer.limit_train_batches", "3")
    (tmp_path / "breaks.py").write_text(BREAKS)
    answer = command("fit", *SMALL, "--allow", "breaks", "--model", "breaks.Breaks", *words)
    assert answer.code == 1
    directory = only_run(tmp_path / "logs")
    last = os.path.relpath(directory / "checkpoints" / "last.ckpt", tmp_path)
    assert re.search(r"the loss became nan at step 4 \(", answer.line)
    assert last in answer.line or last.replace("last", "best") in answer.line
    assert torch.load(directory / "checkpoints" / "last.ckpt")["global_step"] == 3


BREAKS = """
from lightning_gen.models import VAE

class Breaks(VAE):
    def training_step(self, batch, batch_idx):
        loss = super().training_step(batch, batch_idx)
        return loss * float("nan") if self.global_step == 4 else loss
"""


def test_an_error_of_ones_own_class_names_its_line(command, tmp_path):
    (tmp_path / "faulty.py").write_text(BREAKS.replace('float("nan")', "(1 / 0)"))
    words = ("--allow", "faulty", "--model", "faulty.Breaks", "--trainer.max_epochs", "3")
    answer = command("fit", *SMALL, *words)
    assert answer.code == 1
    where = r"faulty\.py, line \d+, in \w+: ZeroDivisionError: division by zero"
    assert re.search(where, answer.err.splitlines()[-1])


def test_a_program_error_keeps_its_traceback(command, monkeypatch):
    monkeypatch.setattr(MiniFashionMNIST, "setup", lambda self, stage: 1 / 0)
    monkeypatch.setattr(outcome, "LIBRARIES", (*outcome.LIBRARIES, str(Path(__file__).parent)))
    with pytest.raises(ZeroDivisionError):
        command("fit", *SMALL)


def test_traceback_on_request(command, monkeypatch):
    monkeypatch.setenv("LIGHTNING_GEN_TRACEBACK", "1")
    answer = command("fit", *SMALL, "--model.latent_dim", "0")
    assert answer.code == 2
    assert answer.err.startswith("Traceback")
    assert answer.err.splitlines()[-1].startswith("lightning-gen fit: latent_dim is")


@pytest.mark.slow
def test_a_notebook_s_backend_of_matplotlib_is_no_matter(finished, tmp_path):
    words = [sys.executable, "-m", "lightning_gen", "sample", finished, "--out", tmp_path / "a.png"]
    notebook = os.environ | {"MPLBACKEND": "module://matplotlib_inline.backend_inline"}
    subprocess.run(words, env=notebook, check=True)
    assert (tmp_path / "a.png").is_file()


@pytest.mark.parametrize("words", [(), ("--model.latent_dim", "0")])
def test_nothing_of_the_process_is_changed(words, command, monkeypatch):
    def state():
        filters = [logging.getLogger(name).filters.copy() for name in quiet.LOGGERS]
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PL_")}
        return environment, sys.path.copy(), warnings.filters.copy(), filters, os.getcwd()

    before = state()
    command("fit", *SMALL, *words)
    assert state() == before


def test_no_checkpoints_and_limits_as_they_were_written(fit):
    limits = ("--trainer.limit_val_batches", "1.0", "--trainer.limit_train_batches", "3")
    directory = fit(*limits, "--trainer.enable_checkpointing", "false")
    assert not (directory / "checkpoints").exists()
    assert column(directory, "test/loss")
    limits = yaml.safe_load((directory / "config.yaml").read_text())["trainer"]
    assert repr(limits["limit_val_batches"]) == "1.0"
    assert repr(limits["limit_test_batches"]) == "1"
    assert len(column(directory, "train/loss")) == 3


def test_a_run_of_many_nodes_is_tested_on_one(finished):
    words = expand_run(["test", str(finished), "--trainer.num_nodes", "2"])
    assert words[:3] == ["test", "--config", str(finished / "config.yaml")]
    assert words[-4:] == ["--trainer.num_nodes", "1", "--trainer.num_nodes", "2"]


@pytest.mark.slow
def test_a_batch_size_that_was_found_is_kept(fit, caplog):
    finder = ("--trainer.callbacks", "BatchSizeFinder", "--trainer.callbacks.max_trials", "2")
    run = fit(*finder, "--trainer.callbacks.steps_per_trial", "1")
    assert yaml.safe_load((run / "config.yaml").read_text())["data"]["init_args"]["batch_size"] == 4
    assert "4 images a step" in caplog.text
    assert caplog.text.count("Finished batch size finder") == 1
