"""Finished runs and their checkpoints."""

import shutil
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

import lightning_gen
from lightning_gen.runs.finished import FinishedRun
from lightning_gen.runs.inputs import SplitInputs
from lightning_gen.training.checkpoint import load_checkpoint, load_model
from support.datasets import write_images
from support.refusals import assert_refused


@pytest.fixture
def lonely(finished, tmp_path):
    """A checkpoint that lies in no run directory."""
    return Path(shutil.copy(finished / "checkpoints" / "last.ckpt", tmp_path / "lonely.ckpt"))


def test_a_run_is_opened_by_its_directory_its_checkpoint_or_its_name(finished, monkeypatch):
    monkeypatch.chdir(finished.parents[2])
    relative = finished.relative_to(finished.parents[2])
    places = [finished, relative, finished.parent.name, relative.parent]
    for place in (*places, finished / "checkpoints" / "best.ckpt"):
        run = FinishedRun.open(place)
        assert run.path.resolve() == finished.resolve()
        assert run.checkpoint.name == "best.ckpt"
        assert run.name == f"{finished.parent.name}/{finished.name}"
        assert run.image_shape == (1, 28, 28)
        assert run.class_names == run.data.info.class_names
    assert FinishedRun.open(finished / "checkpoints" / "last.ckpt").checkpoint.name == "last.ckpt"


@torch.no_grad()
def test_a_checkpoint_alone_is_usable_without_data(lonely, finished):
    run = FinishedRun.open(lonely)
    assert (run.name, run.path, run.class_names) == ("lonely", lonely.parent, ())
    images = torch.rand(2, *run.image_shape)
    whole = FinishedRun.open(finished / "checkpoints" / "last.ckpt")
    assert torch.equal(run.model.encode(images), whole.model.encode(images))


def test_a_checkpoint_alone_has_no_split(lonely):
    words = "lies in no run directory, .*Pass images of your own with --images, or the run"
    assert_refused(words, list, SplitInputs(FinishedRun.open(lonely), "test"))


def test_data_that_cannot_be_built_are_one_line(finished, tmp_path):
    copy = shutil.copytree(finished, tmp_path / "run" / "version_0")
    config = yaml.safe_load((copy / "config.yaml").read_text())
    config["data"] = {"class_path": "lightning_gen.data.No", "init_args": {}}
    (copy / "config.yaml").write_text(yaml.safe_dump(config))
    run = FinishedRun.open(copy)
    assert_refused(r"config.yaml cannot be built: .*--images", getattr, run, "data")


@pytest.fixture
def kept(finished):
    """The content of a checkpoint."""
    return load_checkpoint(finished / "checkpoints" / "last.ckpt")


def saved(tmp_path, content):
    path = tmp_path / "changed.ckpt"
    torch.save(content, path)
    return path


@pytest.mark.parametrize(
    ("class_path", "match"),
    [
        *((path, "which cannot be imported") for path in (None, "", "VAE", "no.such.Model")),
        ("lightning_gen.models.No", "which cannot be imported"),
        ("torch.nn.Linear", "names 'torch.nn.Linear' as its model, which is no LightningModule"),
        ("lightning_gen.models.vae.VAE.sample", "which is no LightningModule"),
        ("lightning_gen.cli.main", "pass --allow lightning_gen.cli "),
    ],
)
def test_what_is_no_model_is_one_line(class_path, match, kept, tmp_path, monkeypatch):
    monkeypatch.setenv("LIGHTNING_GEN_ALLOW", "no.such")
    kept["hyper_parameters"] = {"_class_path": class_path, "args": ["touch", "x"]}
    assert_refused(match, FinishedRun.open, saved(tmp_path, kept))


def test_weights_that_do_not_fit_are_one_line(kept, tmp_path):
    kept["hyper_parameters"]["latent_dim"] = 3
    assert_refused("does not fit VAE as it is installed: ", load_model, saved(tmp_path, kept))


@pytest.mark.parametrize("size", [0, 10, 1000, -10])
def test_a_cut_off_file_is_refused(finished, tmp_path, size):
    path = tmp_path / "broken.ckpt"
    path.write_bytes((finished / "checkpoints" / "last.ckpt").read_bytes()[:size])
    assert_refused(r"broken\.ckpt is broken", load_checkpoint, path)


def test_a_loaded_model_reads_and_writes_pictures(finished, tmp_path):
    model = lightning_gen.load(finished)
    write_images(tmp_path / "photos", 3)
    images = model.read(tmp_path / "photos")
    assert images.shape == (3, 1, 28, 28)
    assert 0 <= images.min() < images.max() <= 1
    again = model.write(model.reconstruct(images), tmp_path / "again")
    assert len([*again.iterdir()]) == 3
    one = model.write(images[:1], tmp_path / "one.npz")
    with np.load(one) as kept:
        assert np.abs(kept["images"] / 255 - images[:1].numpy()).max() < 0.01
    assert model.read(next(again.iterdir())).shape == (1, 1, 28, 28)
    for wrong in (images[:, :, :20], images[0], (255 * images).byte()):
        assert_refused(r"images are float \[N, 1, 28, 28\]", model.write, wrong, tmp_path / "x.png")
    assert_refused("there is no such file or folder", model.read, tmp_path / "nothing")
    assert torch.equal(deepcopy(model).read(tmp_path / "photos"), images)
