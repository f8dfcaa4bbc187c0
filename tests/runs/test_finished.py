import shutil
from pathlib import Path

import pytest
import torch
import yaml

from lightning_gen.errors import UserError
from lightning_gen.runs.finished import FinishedRun
from lightning_gen.runs.inputs import SplitInputs


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
        assert run.class_names == run.data.class_names
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
    with pytest.raises(UserError, match=words):
        list(SplitInputs(FinishedRun.open(lonely), "test"))


def test_data_that_cannot_be_built_are_one_line(finished, tmp_path):
    copy = shutil.copytree(finished, tmp_path / "run" / "version_0")
    config = yaml.safe_load((copy / "config.yaml").read_text())
    config["data"] = {"class_path": "lightning_gen.data.No", "init_args": {}}
    (copy / "config.yaml").write_text(yaml.safe_dump(config))
    run = FinishedRun.open(copy)
    with pytest.raises(UserError, match=r"config.yaml cannot be built: .*--images") as caught:
        assert run.data
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("device", ["cuda:99", "nonsense"])
def test_a_device_that_is_not_there_is_refused(finished, device):
    with pytest.raises(UserError, match=f"this machine has no '{device}'"):
        FinishedRun.open(finished, device)
