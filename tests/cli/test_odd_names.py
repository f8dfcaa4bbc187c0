"""Files, classes and runs may have any name that a file system takes."""

import csv
import os

import numpy as np
import pytest
from PIL import Image

from support.arrays import arrays_of
from support.command import TWO_BATCHES

pytestmark = pytest.mark.xdist_group("odd names")  # one set-up for all
NO_UTF8 = os.fsdecode(b"\xff\xfe")
NAMES = [
    "two words",
    'it\'s "quoted", $\\frac{x$; 100%',
    "<b>&amp;",
    "日本\nline é",
    "_hidden $x_{$",
    f"{NO_UTF8} bytes\r",
]
DATA = (
    *("--data", "ImageFolder", "--data.root", "photos é $(x)", "--data.image_size", "16"),
    *("--data.batch_size", "16", "--data.num_workers", "0"),
)
DENSE = ("--model.architecture", "Dense", "--model.architecture.widths", "[4]")


@pytest.fixture(scope="module")
def trained(train, tmp_path_factory):
    """A folder with ``photos é $(x)`` and runs on them, pictures of every kind included."""
    root = tmp_path_factory.mktemp("odd")
    random = np.random.default_rng(0)
    for number, name in enumerate(NAMES):
        folder = root / "photos é $(x)" / name
        folder.mkdir(parents=True)
        for other in NAMES:
            pixels = random.integers(256, size=(8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(f"{folder}/{other}{number}.png", format="png")
    words = ("--model.latent_dim", "2", *DENSE, *DATA, *TWO_BATCHES, "--name")
    return train(root, *(("fit", "--model", model, *words, model) for model in ("VAE", "CVAE")))


def test_the_files_of_each_split_are_listed(trained):
    with (trained / "logs/VAE/version_0/splits.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["split"] for row in rows} == {"train", "val", "test"}
    escaped = [name.replace(NO_UTF8, "\\udcff\\udcfe") for name in NAMES]
    files = [f"{folder}/{name}{n}.png" for n, folder in enumerate(escaped) for name in escaped]
    assert sorted(row["file"] for row in rows) == sorted(files)


@pytest.fixture
def ask(command, trained, monkeypatch):
    """Runs a command in the folder of the runs; it must go well and print UTF-8."""

    def run(*line):
        monkeypatch.chdir(trained)
        answer = command(*line).done()
        answer.out.encode()
        return answer.out

    return run


def test_all_pictures_are_drawn(trained):
    for kind in ("traversal", "latent_scatter", "interpolation"):
        assert list((trained / "logs" / "VAE" / "version_0" / "images" / kind).glob("*.png"))
    made = "logs/CVAE/version_0/images/conditional_samples"
    assert list((trained / made).glob("*.png"))


@pytest.mark.parametrize("source", [("--images", "photos é $(x)"), ("--split", "train")])
def test_codes_in_a_table_and_back(source, ask, trained, tmp_path):
    table = tmp_path / "codes.csv"
    ask("encode", "VAE", *source, "--out", table)
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    escaped = [name.replace(NO_UTF8, "\\udcff\\udcfe") for name in NAMES]
    assert {row["label"] for row in rows} == set(escaped)
    if source[0] == "--images":
        names = {f"{folder}/{name}{n}.png" for n, folder in enumerate(escaped) for name in escaped}
        assert {row["name"] for row in rows} == names
    ask("decode", "VAE", table, "--out", tmp_path / "decoded.npz")
    assert len(arrays_of(tmp_path / "decoded.npz")["images"]) == len(rows)


def test_arrays_keep_every_name(ask, tmp_path):
    ask("encode", "VAE", "--images", "photos é $(x)", "--out", tmp_path / "codes.npz")
    arrays = arrays_of(tmp_path / "codes.npz")
    assert list(arrays["class_names"]) == sorted(NAMES)
    assert f"{NAMES[-1]}/{NAMES[3]}5.png" in arrays["names"].tolist()


def test_reconstructions_keep_every_name(ask, tmp_path):
    ask("reconstruct", "CVAE", "--images", "photos é $(x)", "--out", tmp_path / "again")
    found = {str(path.relative_to(tmp_path / "again")) for path in tmp_path.rglob("*.png")}
    assert found == {f"{folder}/{name}{n}.png" for n, folder in enumerate(NAMES) for name in NAMES}


def test_samples_of_each_class(ask, tmp_path):
    for out in ("page.png", "folder"):
        ask("sample", "CVAE", "--labels", *NAMES, "--num_images", 1, "--out", tmp_path / out)
    assert {path.name for path in (tmp_path / "folder").iterdir()} == set(NAMES)


def test_sums_of_classes(ask, tmp_path):
    for start in (0, 3):
        three = NAMES[start : start + 3]
        ask("arithmetic", "VAE", *three, "--split", "train", "--out", tmp_path / f"{start}.png")


def test_a_path_that_is_no_text_is_refused_in_one_line(command, tmp_path):
    for words_ in (["sample", "VAE", "--out"], ["encode", "VAE", "--images"]):
        command(*words_, tmp_path / NO_UTF8).refused(
            f"{words_[-1][2:]}: a file name is UTF-8 text here"
        )
    command("fit", "--model", "VAE", "--data", "ImageFolder", "--data.root", NO_UTF8).refused(
        "a file name is UTF-8 text here"
    )
