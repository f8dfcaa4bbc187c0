"""The verbs for a finished run, used as a new user would."""

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import lightning_gen
from lightning_gen.cli import VERBS
from lightning_gen.cli.verb_parser import VerbParser
from lightning_gen.cli.verbs import TASKS
from lightning_gen.data.splits import shuffled
from support.arrays import arrays_of
from support.command import MINI_DATA, NO_PICTURES, TWO_BATCHES, runs

MODELS = {
    "VAE": ("--model.latent_dim", "3", "--model.architecture", "Dense"),
    "CAE": ("--model.widths", "[4, 2]"),
    "VQVAE": (
        *("--model.architecture.widths", "[4, 4]", "--model.codebook.size", "8"),
        *("--model.codebook.dim", "4", "--model.prior.width", "16", "--model.prior.depth", "1"),
    ),
    "DCGAN": ("--model.architecture.widths", "[8, 4]"),
    "CVAE": ("--model.latent_dim", "3", "--model.architecture", "Dense"),
}


@pytest.fixture(scope="module")
def logs(main, tmp_path_factory):
    """A tiny trained run of each model, by the model's name; to be read only."""
    root = tmp_path_factory.mktemp("verbs")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setenv("PL_GLOBAL_SEED", "0")
        patch.setenv("PL_SEED_WORKERS", "0")
        for model, words in MODELS.items():
            data = (*MINI_DATA, *NO_PICTURES, *TWO_BATCHES)
            code = main(["fit", "--model", model, *words, *data, "--name", model])
            assert code == 0, model
    assert len(runs(root / "logs")) == len(MODELS)
    return root / "logs"


@pytest.fixture
def photos(tmp_path):
    """Images of several sizes and kinds, and a file that is none."""
    folder = tmp_path / "photos"
    (folder / "inner").mkdir(parents=True)
    random = np.random.default_rng(0)
    for name, size, mode in (
        ("a.png", (30, 40), "RGB"),
        ("b.jpg", (101, 57), "L"),
        ("inner/c.png", (28, 28), "RGBA"),
        ("inner/d.gif", (9, 200), "P"),
    ):
        pixels = random.integers(256, size=(*size, 3), dtype=np.uint8)
        Image.fromarray(pixels).convert(mode).save(folder / name)
    (folder / "broken.png").write_bytes(b"\x89PNG no more")
    return folder


LACKING = {
    ("sample", "CAE"): "samples",
    ("reconstruct", "DCGAN"): "reconstructs",
    ("encode", "DCGAN"): "encodes",
    ("arithmetic", "DCGAN"): "encodes",
    ("probe", "DCGAN"): "encodes",
}
WORDS = {
    "arithmetic": ("Ankle boot", "Sandal", "T-shirt/top"),
    "probe": ("--num_train", "60", "--labels", "20", "--repeats", "2"),
}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    "verb",
    ["sample", "reconstruct", "encode", "interpolate", "traverse", "arithmetic", "probe", "report"],
)
def test_each_verb_works_or_names_what_the_model_lacks(verb, model, logs, command, tmp_path):
    out = tmp_path / "result" / TASKS[verb].default_out
    answer = command(verb, logs / model, *WORDS.get(verb, ()), "--out", out)
    if (verb, model) in LACKING:
        assert answer.code == 2
        lack = f"needs a model that {LACKING[verb, model]}, and {model} does not"
        assert lack in answer.line
        assert not out.parent.exists()
        return
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.splitlines()[-1] == str(out)
    assert out.stat().st_size > 100
    assert not list(out.parent.glob(".*"))


def test_compare_of_models_with_different_abilities(logs, command, tmp_path):
    places = [logs / model for model in MODELS]
    answer = command("compare", *places, "--out", tmp_path / "all.html", "--num_images", "4")
    assert (answer.code, answer.err) == (0, "")
    text = (tmp_path / "all.html").read_text()
    assert all(model in text for model in MODELS)


@pytest.mark.parametrize("ending", ["npz", "csv"])
@pytest.mark.parametrize("model", ["VAE", "CAE", "VQVAE"])
def test_encode_and_decode_give_the_reconstruction(model, ending, logs, command, tmp_path):
    for words in (
        ("encode", logs / model, "--num_images", 5, "--out", tmp_path / f"codes.{ending}"),
        ("decode", logs / model, tmp_path / f"codes.{ending}", "--out", tmp_path / "decoded.npz"),
        ("reconstruct", logs / model, "--num_images", 5, "--out", tmp_path / "again.npz"),
    ):
        answer = command(*words)
        assert (answer.code, answer.err) == (0, "")
    decoded, again = arrays_of(tmp_path / "decoded.npz"), arrays_of(tmp_path / "again.npz")
    assert decoded["images"].shape == (5, 1, 28, 28)
    difference = decoded["images"].astype(int) - again["images"].astype(int)
    assert abs(difference).max() <= 1
    places = shuffled(2000)[:5].tolist()
    assert list(again["names"]) == [f"test/{place:05}" for place in places]


def test_a_folder_of_mixed_images_with_a_broken_one(logs, command, photos, tmp_path):
    answer = command("encode", logs / "VAE", "--images", photos, "--out", tmp_path / "codes.csv")
    assert answer.code == 0
    assert "1 of 5 images cannot be read: 'broken.png'" in answer.out
    with (tmp_path / "codes.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == ["a.png", "b.jpg", "inner/c.png", "inner/d.gif"]
    answer = command("reconstruct", logs / "VAE", "--images", photos, "--out", tmp_path / "again")
    assert answer.code == 0
    found = sorted(p.relative_to(tmp_path / "again") for p in (tmp_path / "again").rglob("*.png"))
    assert list(map(str, found)) == ["a.png", "b.png", "inner/c.png", "inner/d.png"]
    with Image.open(tmp_path / "again" / "a.png") as image:
        assert image.size == (28, 28)


def test_one_file(logs, command, photos, tmp_path):
    out = tmp_path / "code.npz"
    assert command("encode", logs / "VAE", "--images", photos / "b.jpg", "--out", out).code == 0
    assert arrays_of(out)["codes"].shape == (1, 3)


def test_only_broken_files_are_an_error(logs, command, photos, tmp_path):
    words = ("--images", photos / "broken.png", "--out", tmp_path / "codes.npz")
    answer = command("encode", logs / "VAE", *words)
    assert answer.code == 2
    assert "1 of 1 images cannot be read: 'broken.png'" in answer.line
    assert not (tmp_path / "codes.npz").exists()


def test_a_seed_repeats_and_another_differs(logs, command, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        out = tmp_path / f"{name}.npz"
        words = ("--seed", seed, "--num_images", 6, "--out", out)
        assert command("sample", logs / "VAE", *words).code == 0
    a, b, c = (arrays_of(tmp_path / f"{name}.npz")["images"] for name in "abc")
    assert (a == b).all()
    assert (a != c).any()


def test_samples_of_a_class(logs, command, tmp_path):
    words = ("--labels", "Bag", "Ankle boot", "--num_images", 3, "--out", tmp_path / "new")
    assert command("sample", logs / "CVAE", *words).code == 0
    names = sorted(str(p.relative_to(tmp_path / "new")) for p in (tmp_path / "new").rglob("*.png"))
    assert names[:3] == [f"Ankle boot/{number:05}.png" for number in range(3)]
    answer = command("sample", logs / "CVAE", "--labels", "Bagg")
    assert "knows no 'Bagg'. Known: T-shirt/top" in answer.line


def test_the_latest_run_of_a_name_and_the_default_place(logs, command, tmp_path):
    shutil.copytree(logs / "VAE", tmp_path / "logs" / "VAE")
    shutil.copytree(logs / "VAE" / "version_0", tmp_path / "logs" / "VAE" / "version_1")
    answer = command("sample", "VAE")
    assert answer.out == "logs/VAE/version_1/sample.png\n"
    assert (tmp_path / answer.out.strip()).is_file()
    checkpoint = "logs/VAE/version_0/checkpoints/last.ckpt"
    assert command("sample", checkpoint).out == "logs/VAE/version_0/sample.png\n"


def test_load_in_python(logs, in_tmp):
    model = lightning_gen.load(str(logs / "VAE"))
    assert not model.training
    codes = model.encode(model.sample(2))
    assert codes.shape == (2, 3)
    assert not codes.requires_grad
    assert isinstance(model.decode(codes), torch.Tensor)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("sample",), "run missing, expected for instance: lightning-gen sample quickstart"),
        (("sample", "VAE", "--num_image", "3"), "num_image is no option. Did you mean num_images"),
        (("sample", "VAE", "--num_images", "3.5"), "num_images: expected int, got 3.5"),
        (("sample", "VAE", "--num_images", "0"), "--num_images is at least 1, got 0"),
        (("sample", "VAE", "--batch_size", "0"), "--batch_size is at least 1, got 0"),
        (("sample", "VAE", "--device", "cuda:7"), "this machine has no 'cuda:7'"),
        (("sample", "VAE", "--out", "new.jpg"), "--out takes .png, a folder, .npz, got new.jpg"),
        (("sample", "VEA"), "got VEA. Finished runs stand in logs/<name>/version_<n>."),
        (("sample", "VAE", "--labels", "Bag"), "sample --labels needs a model that conditional"),
        (("encode", "VAE", "--split", "tset"), "split: expected 'train', 'val', 'test', got tset"),
        (("encode", "VAE", "--images", "nope"), "--images nope: there is no such file or folder"),
        (("encode", "VAE", "--num_images", "0"), "the number of images is at least 1, got 0"),
        (("decode", "VAE", "nope.npz"), "expected an .npz or .csv of codes"),
        (("interpolate", "VAE", "--steps", "1"), "at least 2, got 1"),
        (("interpolate", "VAE", "--num_pairs", "0"), "--num_pairs is at least 1, got 0"),
        (("interpolate", "VAE", "--path", "curved"), "path: expected 'linear', 'spherical'"),
        (("interpolate", "DCGAN", "--images", "."), "--images"),
        (("traverse", "VAE", "--dimensions", "3"), "--dimensions are from 0 to 2"),
        (("traverse", "VAE", "--span", "0"), "span > 0"),
        (("arithmetic", "VAE", "Bag", "Coat"), "c missing"),
        (("arithmetic", "VAE", "Ankle", "boot", "Bag", "Coat"), "Coat is one word too many"),
        (("arithmetic", "VAE", "Bagg", "Coat", "Bag"), "got 'Bagg'. Did you mean Bag"),
        (("probe", "VAE", "--labels", "5"), "probe takes at least 1 repeat and 10 labels"),
        (("probe", "VAE", "--out", "probe.txt"), "--out of probe is a .csv, got probe.txt"),
        (("compare", "VAE"), "compare takes at least two runs, got 1"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_a_user_gets_wrong_is_one_line(words, line, logs, command, monkeypatch):
    monkeypatch.chdir(logs.parent)
    before = sorted(Path().rglob("*"))
    answer = command(*words)
    assert answer.code == 2
    assert line in answer.line
    assert sorted(Path().rglob("*")) == before


@pytest.mark.parametrize("verb", TASKS)
def test_help_tells_every_option(verb, command, capsys):
    with pytest.raises(SystemExit, match=r"\A0\Z"):
        command(verb, "--help")
    said = " ".join(capsys.readouterr().out.split())
    parser = VerbParser(verb, TASKS[verb].function(verb), "")
    for name in parser.asked:
        if name not in ("run", "runs", "inputs"):
            assert f"--{name}" in said or name in said
    assert VERBS[verb].example in said


def test_a_place_that_cannot_be_written(logs, command, tmp_path):
    (tmp_path / "file").write_text("")
    answer = command("sample", logs / "VAE", "--out", tmp_path / "file" / "new.png")
    assert answer.code == 1
    assert "Pass another --out" in answer.line
