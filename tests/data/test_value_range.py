import json
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from support.arrays import arrays_of
from support.bombs import write_png
from support.command import NO_PICTURES
from support.images import image_folder
from support.refusals import assert_refused

RAMP = np.linspace(0, 1, 64).reshape(8, 8)


def write(root, arrays, ending="png"):
    root.mkdir(parents=True, exist_ok=True)
    for number, array in enumerate(arrays):
        Image.fromarray(array).save(root / f"{number:02}.{ending}")


def ramps(top, kind, count=20):
    """The largest value of the last image is ``top``, that of the first a twentieth of it."""
    return [(RAMP * top * (number + 1) / count).round(6).astype(kind) for number in range(count)]


def pixels_of(data):
    return {
        name: image[0]
        for split in ("train", "val", "test")
        for batch, names in data.in_order(split).named()
        for name, image in zip(names, batch.images, strict=True)
    }


@pytest.mark.parametrize(
    ("kind", "ending", "top", "scale"),
    [
        *[(np.uint16, "png", 2**bits - 1, 2**bits - 1) for bits in (9, 10, 12, 13, 16)],
        (np.uint16, "tiff", 3871, 4095),
        (np.int32, "tiff", 255, 255),
        (np.int32, "tiff", 4000, 4095),
        (np.float32, "tiff", 1.0, 1),
        (np.float32, "tiff", 250.5, 255),
    ],
)
def test_the_range_is_found_and_said(tmp_path, caplog, kind, ending, top, scale):
    write(tmp_path, ramps(top, kind), ending)
    data = image_folder(tmp_path, channels=1)
    said = f"values 0 to {top:g} found in 20 files of more than 8 bits: scaled by {scale:g} "
    assert said in caplog.text
    assert data.hparams["value_range"] == [0.0, float(scale)]
    found = pixels_of(data)
    for number, array in enumerate(ramps(top, kind)):
        expected = (array.astype(np.float64) / scale * 255).round()
        assert abs(found[f"{number:02}.{ending}"].numpy() - expected).max() <= 1
    assert max(image.max() for image in found.values()) > 235


def test_eight_bits_beside_are_left_as_they_are(tmp_path):
    write(tmp_path, ramps(4095, np.uint16))
    Image.fromarray((RAMP * 255).astype(np.uint8)).save(tmp_path / "99.png")
    found = pixels_of(image_folder(tmp_path))
    assert abs(found["99.png"].int() - found["19.png"].int()).max() <= 1


@pytest.mark.parametrize(
    ("arrays", "match"),
    [
        (ramps(-1000, np.int32), "values from -1000 to 0"),
        (ramps(100_000, np.int32), "values from 0 to 100000"),
        ([*ramps(1, np.float32), np.full((8, 8), np.nan, np.float32)], "values from nan to nan"),
    ],
)
def test_what_cannot_be_known_is_asked_for(tmp_path, arrays, match):
    write(tmp_path, arrays, "tiff")
    assert_refused(rf"{match}.*Set data\.value_range", image_folder, tmp_path)


def test_a_given_range_is_taken(tmp_path, caplog):
    write(tmp_path, ramps(-1000, np.int32), "tiff")
    data = image_folder(tmp_path, value_range=(-1000.0, 1000.0))
    assert "more than 8 bits" not in caplog.text
    assert pixels_of(data)["19.tiff"].flatten()[[0, -1]].tolist() == [128, 0]
    match = r"value_range is \[black, white\]"
    assert_refused(match, image_folder, tmp_path, value_range=(5.0, 5.0))


def test_colours_that_would_be_black_are_refused(tmp_path):
    def write_all(value):
        """Of 16-bit RGB, which Pillow does not write."""
        row = b"\0" + value.to_bytes(2) * 24
        for number in range(20):
            write_png(tmp_path / f"{number:02}.png", 8, 16, 2, zlib.compress(row * 8))

    write_all(4095)
    match = r"20 files have colours of 16 bits.* up to 15 of 255"
    assert_refused(match, image_folder, tmp_path)
    write_all(65535)
    assert image_folder(tmp_path).load("train").source.images.unique().tolist() == [255]


@pytest.fixture
def cached(tmp_path, monkeypatch):
    monkeypatch.setattr("lightning_gen.data.image_folder.SMALL_BYTES", 0)
    write(tmp_path / "scans", ramps(4095, np.uint16))
    return {"root": tmp_path / "scans", "cache": str(tmp_path / "caches")}


def test_the_range_is_kept_beside_the_cache(cached, monkeypatch, caplog):
    expected = pixels_of(image_folder(**cached))

    def read_again(*_):
        raise AssertionError("the files were read again for their range")

    monkeypatch.setattr("lightning_gen.data.value_range.extremes", read_again)
    caplog.clear()
    found = pixels_of(image_folder(**cached))
    assert "scaled by 4095" in caplog.text
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    [kept] = Path(cached["cache"]).glob("scans-*/*.range")
    assert json.loads(kept.read_text()) == [0, 4095]


def test_another_range_is_another_cache(cached):
    dark = pixels_of(image_folder(**cached, value_range=(0.0, 65535.0)))
    bright = pixels_of(image_folder(**cached))
    assert dark["19.png"].max() == 16
    assert bright["19.png"].max() == 255
    assert len([*Path(cached["cache"]).glob("scans-*/*.pixels")]) == 2


def test_a_run_keeps_the_range_and_names_its_rows(cached, command, tmp_path):
    data = ("--data", "ImageFolder", "--data.root", cached["root"], "--data.image_size", "8")
    model = ("--model", "AE", "--model.latent_dim", "2", "--model.architecture", "Dense")
    short = ("--trainer.accelerator", "cpu", "--trainer.max_epochs", "1", *NO_PICTURES)
    command("fit", *model, *data, *short, "--name", "scans").done()
    command("encode", "scans", "--split", "train", "--out", tmp_path / "codes.npz").done()
    found = arrays_of(tmp_path / "codes.npz")
    codes = dict(zip(found["names"].tolist(), found["codes"], strict=True))
    (tmp_path / "two").mkdir()
    for name in [*codes][:2]:
        (cached["root"] / name).rename(tmp_path / "two" / name)
    command("encode", "scans", "--images", tmp_path / "two", "--out", tmp_path / "two.npz").done()
    found = arrays_of(tmp_path / "two.npz")
    for name, code in zip(found["names"].tolist(), found["codes"], strict=True):
        np.testing.assert_allclose(code, codes[name], atol=1e-5)
    assert sorted(found["names"].tolist()) == sorted([*codes][:2])
