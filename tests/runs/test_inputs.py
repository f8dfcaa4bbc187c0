import os

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningDataModule
from PIL import Image
from torch.utils.data import DataLoader

from lightning_gen.contracts import Batch
from lightning_gen.runs import inputs as run_inputs
from lightning_gen.runs.finished import FinishedRun
from lightning_gen.runs.inputs import FileInputs, SplitInputs
from support.finished import run_of
from support.kinds import KINDS
from support.models import build, tiny
from support.refusals import assert_refused


@pytest.fixture
def run():
    return run_of(tiny())


def write(path, colour=100):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (40, 28), (colour,) * 3).save(path)


def read(inputs):
    """All images by name."""
    return {
        name: image
        for batch, names in inputs
        for name, image in zip(names, batch.images, strict=True)
    }


@pytest.mark.parametrize("batch_size", [1, 3, 7])
def test_nested_files_come_sorted_under_their_own_names(run, tmp_path, batch_size):
    names = ["b.png", "a/2.png", "a/b/1.jpg", "a/1.png", "c.bmp", "d/ä ö.png", "z.gif"]
    for number, name in enumerate(sorted(names)):
        write(tmp_path / name, colour=20 * number)
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / ".hidden.png").write_bytes(b"")
    inputs = FileInputs(run, tmp_path, batch_size)
    found = read(inputs)
    assert list(found) == sorted(names)
    assert len(inputs) == 7
    grey = [image.mean().item() * 255 for image in found.values()]
    np.testing.assert_allclose(grey, 20 * np.arange(7), atol=1)
    assert inputs.note() is None


@pytest.mark.parametrize("batch_size", [1, 2, 100])
def test_a_broken_file_is_left_out_and_named(run, tmp_path, batch_size):
    for name in ("a", "c", "d"):
        write(tmp_path / f"{name}.png", colour=ord(name))
    (tmp_path / "b.png").write_bytes(b"no image")
    (tmp_path / "e.png").write_bytes((tmp_path / "a.png").read_bytes()[:45])
    inputs = FileInputs(run, tmp_path, batch_size)
    for _ in range(2):  # a second reading counts anew
        found = read(inputs)
        assert list(found) == ["a.png", "c.png", "d.png"]
        torch.testing.assert_close(found["c.png"].mean() * 255, torch.tensor(99.0))
        note = inputs.note()
        assert note.startswith("2 of 5 images cannot be read: ")
        assert "'b.png'" in note
        assert "'e.png'" in note
        assert "\n" not in note
    assert len(inputs.first(3).names) == 3, "broken files do not count"


def test_places_without_images_are_refused(run, tmp_path):
    """A pipe is not waited for."""
    assert_refused("expected images in it or below, found none", FileInputs, run, tmp_path)
    assert_refused("there is no such file or folder", FileInputs, run, tmp_path / "none")
    os.mkfifo(tmp_path / "pipe.png")
    match = r"pipe\.png: it is neither a file nor a folder"
    assert_refused(match, FileInputs, run, tmp_path / "pipe.png")


def test_class_folders_give_the_labels(run, tmp_path):
    for name in ("cat/1.png", "cat/2.png", "ant/1.png"):
        write(tmp_path / name)
    inputs = FileInputs(run, tmp_path)
    assert inputs.class_names == ("ant", "cat")
    assert inputs.first(9).batch.labels.tolist() == [0, 1, 1]
    write(tmp_path / "loose.png")
    inputs = FileInputs(run, tmp_path)
    assert inputs.class_names == ()
    assert inputs.first(9).batch.labels.tolist() == [0] * 4


class TestAConditionalModel:
    @pytest.fixture
    def conditional(self):
        return run_of(KINDS["CVAE"]())

    def test_takes_folders_called_by_its_classes(self, conditional, tmp_path):
        for name in ("Sandal/1.png", "Bag/1.png", "Bag/2.png", "Dress/x/1.png"):
            write(tmp_path / name)
        inputs = FileInputs(conditional, tmp_path)
        batch, names = inputs.first(9)
        classes = [inputs.class_names[label] for label in batch.labels]
        assert classes == [name.split("/")[0] for name in names]
        codes = conditional.model.condition_on(batch).encode(batch.images)
        assert codes[:, 4:].argmax(dim=1).tolist() == [8, 8, 3, 5]

    @pytest.mark.parametrize("names", [("1.png", "2.png"), ("Bag/1.png", "cat/1.png")])
    def test_refuses_images_of_unknown_classes(self, conditional, tmp_path, names):
        for name in names:
            write(tmp_path / name)
        match = "subfolders called by its classes, or use --split"
        assert_refused(match, FileInputs, conditional, tmp_path)

    def test_refuses_files_where_it_is_told_attributes(self, tmp_path):
        for name in ("size/1.png", "hat/1.png"):
            write(tmp_path / name)
        model = build(type(KINDS["CVAE"]()), attributes=("hat", "size"))
        assert_refused("must know the condition of each image", FileInputs, run_of(model), tmp_path)


def test_a_split_comes_in_its_own_order(finished):
    run = FinishedRun.open(finished)
    inputs = SplitInputs(run, "test", batch_size=300)
    batch, names = inputs.first(700)
    places = torch.tensor([int(name.removeprefix("test/")) for name in names])
    assert len(places.unique()) == 700
    source = run.data.load("test")
    torch.testing.assert_close(batch.images, source.images[places].float() / 255)
    assert torch.equal(batch.labels, source.labels[places])
    sizes = [len(SplitInputs(run, split)) for split in ("train", "val", "test")]
    assert sizes == [9000, 1000, 2000]
    shown = SplitInputs(run, "val").shown("reading", 120)
    assert [len(names) for _, names in shown] == [50, 50, 20], "a limit ends within a batch"
    assert inputs.class_names == run.data.info.class_names


def test_a_datamodule_of_ones_own_gives_its_batches():
    class Own(LightningDataModule):
        def test_dataloader(self):
            batch = Batch(torch.full((3, 1, 28, 28), 0.5), torch.zeros(3).long(), torch.ones(3, 0))
            return DataLoader([batch], batch_size=None)

        def val_dataloader(self):
            return iter(())

    run = run_of(tiny(), data=Own())
    inputs = SplitInputs(run, "test")
    assert len(inputs) == 3
    ((batch, _),) = inputs
    assert batch.images.shape == (3, 1, 28, 28)
    assert_refused("val_dataloader gives no DataLoader", len, SplitInputs(run, "val"))


def test_the_range_of_deep_files_is_that_of_the_training(run, tmp_path, monkeypatch, caplog):
    Image.fromarray(np.full((28, 28), 1000, np.uint16)).save(tmp_path / "a.png")
    trained = {"datamodule_hyper_parameters": {"value_range": [0.0, 4095.0]}}
    for known, scale in (({}, 1023), (trained, 4095)):
        monkeypatch.setattr(run_inputs, "load_checkpoint", lambda _, known=known: known)
        image = read(FileInputs(run, tmp_path))["a.png"]
        assert image.mean().item() == pytest.approx(1000 / scale, abs=0.002)
    assert caplog.text.count("found in 1 files of more than 8 bits: scaled by 1023") == 1
