"""Runs that are also shown in Weights & Biases or TensorBoard."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import yaml
from PIL import Image

from lightning_gen.training.wandb import tolerated
from support.command import CONF, SMALL, column, only_run, runs
from support.wandb_runs import Held, Server

WORDS = (*SMALL, "--name", "shown", "--pictures", "Samples")
WANDB = ("--trainer.logger", CONF / "logger/wandb.yaml", "--trainer.logger.offline", "true")
TENSORBOARD = ("--trainer.logger", CONF / "logger/tensorboard.yaml")


@pytest.fixture
def shown(command, tmp_path):
    """Runs ``fit`` with a logger twice, the second time with more words; the runs' directories."""

    def run(*logger, second=()):
        for words in ((), second):
            answer = command("fit", *WORDS, *logger, *words)
            assert answer.code == 0, answer.err
            assert "Error" not in answer.err
        directories = runs(tmp_path / "logs")
        assert [path.name for path in directories] == ["version_0", "version_1"]
        return directories

    return run


def test_wandb(shown, tmp_path):
    directories = shown(*WANDB)
    assert [path.name for path in tmp_path.iterdir()] == ["logs"]  # no wandb/ beside it
    for directory in directories:
        held = Held(directory)
        assert held.run.display_name == f"shown/{directory.name}"
        check_config(held.config, directory)
        assert held.history["val/loss"][-1] == pytest.approx(last(directory, "val/loss"))
        assert held.history["test/loss"][-1] == pytest.approx(last(directory, "test/loss"))
        assert len(held.history["train/loss"]) == 2
        (picture,) = directory.glob("wandb/offline-run-*/files/media/images/images/samples_*.png")
        check_picture(np.asarray(Image.open(picture)), directory)


def last(directory, name):
    values = column(directory, name)
    return values[max(values)]


def check_config(config, directory):
    """The resolved configuration of all parts reached the logger."""
    written = yaml.safe_load((directory / "config.yaml").read_text())
    for key in ("seed_everything", "model", "data", "trainer", "pictures"):
        assert config[key] == written[key], key
    assert config["model"]["init_args"]["optimizer"]["class_path"] == "torch.optim.Adam"
    assert config["pictures"]["class_path"] == "lightning_gen.pictures.Samples"


def check_picture(pixels, directory):
    (path,) = (directory / "images" / "samples").iterdir()
    np.testing.assert_array_equal(pixels, np.asarray(Image.open(path)))
    assert pixels.max() > 50


def test_tensorboard(shown):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    own = ("--trainer.logger.save_dir", "beside")
    directories = shown(*TENSORBOARD, second=own)
    for directory, parent in zip(directories, (".", "beside"), strict=True):
        folder = directory / parent / "tensorboard"
        events = EventAccumulator(str(folder))
        events.Reload()
        scalars = {name: events.Scalars(name) for name in events.Tags()["scalars"]}
        for name in ("train/loss", "val/loss", "test/loss"):
            assert scalars[name][-1].value == pytest.approx(last(directory, name)), name
        (picture,) = events.Images("images/samples")
        (tmp := directory / "seen.png").write_bytes(picture.encoded_image_string)
        check_picture(np.asarray(Image.open(tmp)), directory)
        (text,) = events.Tensors("config/text_summary")[0].tensor_proto.string_val
        shown_config = text.decode().removeprefix("```yaml\n").removesuffix("```")
        check_config(yaml.safe_load(shown_config), directory)
        written = (folder / "hparams.yaml").read_text()
        check_config(yaml.safe_load(written), directory)


def test_without_tensorboard(command, monkeypatch, tmp_path):
    import lightning.fabric.loggers.tensorboard as module

    monkeypatch.setattr(module, "_TENSORBOARD_AVAILABLE", False)
    monkeypatch.setattr(module, "_TENSORBOARDX_AVAILABLE", False)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    command("fit", *WORDS, *TENSORBOARD).refused(
        "Neither `tensorboard` nor `tensorboardX` is available"
    )
    assert not list((tmp_path / "logs").glob("*"))


def test_training_outlives_the_process_of_wandb():
    def broken(metrics, step):
        raise ConnectionResetError("Connection lost")

    with pytest.warns(UserWarning, match=r"W&B did not take what was logged \(Connection lost\)"):
        tolerated("what was logged")(broken)({"train/loss": 1.0}, step=3)


def run_ids(directory):
    """The ids of all W&B runs of a run directory."""
    return [path.stem.removeprefix("run-") for path in directory.glob("wandb/*run-*/run-*.wandb")]


@pytest.mark.slow
def test_a_run_that_goes_on_is_the_same_run_in_wandb(command, tmp_path):
    for words in ((), ("--ckpt_path", "last", "--trainer.max_epochs", "2")):
        assert command("fit", *WORDS, *WANDB, *words).code == 0
    directory = only_run(tmp_path / "logs")
    ids = run_ids(directory)
    assert len(ids) == 2
    assert len(set(ids)) == 1
    environment = json.loads((directory / "environment.json").read_text())
    assert [environment["wandb_run"], environment["resumed"][0]["wandb_run"]] == ids


def fit_online(folder, address):
    """``fit`` in a process of its own, with W&B's server there: W&B reads the variables once."""
    variables = {
        **{"WANDB_MODE": "online", "WANDB_BASE_URL": address, "WANDB_API_KEY": "0" * 40},
        **{"WANDB_INIT_TIMEOUT": "3", "WANDB_FINISH_TIMEOUT": "5"},
    }
    script = [sys.executable, "-m", "lightning_gen", "fit", *map(str, WORDS), *map(str, WANDB[:2])]
    others = {k: v for k, v in os.environ.items() if k != "WANDB_SERVICE"}  # a process of its own
    place = {"cwd": folder, "env": others | variables}
    done = subprocess.run(script, capture_output=True, text=True, timeout=300, **place)
    assert done.returncode == 0, done.stderr
    directory = only_run(folder / "logs")
    assert column(directory, "test/loss")
    return directory, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("answers", [False, True])
def test_a_server_that_cannot_be_reached(answers, tmp_path):
    """None listens, or it has an error for everybody."""
    with Server(fails_at=0) as server:
        address = server.address if answers else "http://127.0.0.1:9"
        directory, said = fit_online(tmp_path, address)
    assert bool(server.asked) is answers
    assert said.count("W&B cannot be reached (") == 1
    assert f"the run is kept offline, in {directory.resolve()}/wandb. Send it later" in said
    assert list(directory.glob("wandb/offline-run-*/run-*.wandb"))


@pytest.mark.slow
def test_a_server_has_all_of_a_run(tmp_path):
    with Server() as server:
        _, said = fit_online(tmp_path, server.address)
    assert "W&B did not" not in said
    assert server.asked.count("CreateArtifact") == 5  # two tables, the dataset, last and best
    assert server.asked.count("UseArtifact") == 1


@pytest.mark.slow
@pytest.mark.parametrize("fault", [{"fails_at": 5}, {"unknown": ("CreateArtifact",)}])
def test_a_server_that_fails_in_the_middle_of_a_training(fault, tmp_path):
    """It has an error for everybody, or an answer on which the process of W&B falls."""
    with Server(**fault) as server:
        _, said = fit_online(tmp_path, server.address)
    assert "UpsertBucket" in server.asked[:4]
    assert ("panic: " in said) is ("unknown" in fault)
    assert "W&B did not take the dataset and the checkpoints (" in said
