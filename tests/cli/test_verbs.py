"""The verbs for a finished run, used as a new user would."""

import inspect
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from lightning_gen.cli import VERBS
from lightning_gen.cli.verbs import function_of
from lightning_gen.data import DSprites
from lightning_gen.pictures import LatentScatter
from lightning_gen.runs.finished import FinishedRun
from lightning_gen.training.checkpoint import load_checkpoint
from support.arrays import arrays_of
from support.command import MINI_DATA, NO_PICTURES, TWO_BATCHES

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
def logs(train, tmp_path_factory):
    """A tiny trained run of each model, by the model's name; to be read only."""
    fits = (
        ("fit", "--model", model, *words, *MINI_DATA, *NO_PICTURES, *TWO_BATCHES, "--name", model)
        for model, words in MODELS.items()
    )
    return train(tmp_path_factory.mktemp("verbs"), *fits) / "logs"


LACKING = {
    ("sample", "CAE"): "samples images",
    ("reconstruct", "DCGAN"): "reconstructs",
    ("encode", "DCGAN"): "encodes",
    ("arithmetic", "DCGAN"): "encodes",
    ("probe", "DCGAN"): "encodes",
}
WORDS = {
    "arithmetic": ("Ankle boot", "Sandal", "T-shirt/top"),
    "probe": ("--num_train", "60", "--labels", "20", "--repeats", "2"),
    "project": ("--num_images", "2", "--steps", "3", "--film", "search.mp4"),
}


@pytest.mark.parametrize(
    ("verb", "model"),
    [
        *(
            (verb, model)
            for verb in ("sample", "reconstruct", "encode", "interpolate", "traverse", "arithmetic")
            for model in MODELS
        ),
        *(("probe", model) for model in ("VQVAE", "DCGAN", "CVAE")),
        *(("project", model) for model in ("CAE", "DCGAN", "CVAE")),
        *(("report", model) for model in ("VQVAE", "DCGAN")),
    ],
)
def test_each_verb_works_or_names_what_the_model_lacks(verb, model, logs, command, tmp_path):
    out = tmp_path / "result" / VERBS[verb].out
    answer = command(verb, logs / model, *WORDS.get(verb, ()), "--out", out)
    if (verb, model) in LACKING:
        answer.refused(f"needs a model that {LACKING[verb, model]}, and {model} does not")
        assert not out.parent.exists()
        return
    assert answer.done().out.splitlines()[-1] == str(out)
    assert out.stat().st_size > 100
    assert not list(out.parent.glob(".*"))


def test_compare_of_models_with_different_abilities(logs, command, tmp_path):
    for model in ("VAE", "DCGAN"):
        shutil.copytree(logs / model, tmp_path / "logs" / model)
    answer = command("compare", "VAE/version_0", "DCGAN", "--num_images", "2").done()
    assert answer.out == "logs/VAE/compare.html\n", "beside the first run"
    text = (tmp_path / "logs/VAE/compare.html").read_text()
    assert "VAE" in text
    assert "DCGAN" in text


def test_a_seed_repeats_and_another_differs(logs, command, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        out = tmp_path / f"{name}.npz"
        words = ("--seed", seed, "--num_images", 6, "--out", out)
        assert command("sample", logs / "VAE", *words).code == 0
    a, b, c = (arrays_of(tmp_path / f"{name}.npz")["images"] for name in "abc")
    assert (a == b).all()
    assert (a != c).any()


def test_the_latest_run_of_a_name_and_the_default_place(logs, command, tmp_path):
    shutil.copytree(logs / "VAE", tmp_path / "logs" / "VAE")
    shutil.copytree(logs / "VAE" / "version_0", tmp_path / "logs" / "VAE" / "version_1")
    answer = command("sample", "VAE")
    assert answer.out == "logs/VAE/version_1/sample.png\n"
    assert (tmp_path / answer.out.strip()).is_file()
    checkpoint = "VAE/version_0/checkpoints/last.ckpt"
    for place in (f"logs/{checkpoint}", checkpoint, "VAE/version_0", "logs/VAE/version_0"):
        assert command("sample", place).out == "logs/VAE/version_0/sample.png\n"
    assert command("report", checkpoint).out == "logs/VAE/version_0/report.html\n"
    assert command("validate", "VAE/version_0").code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["logs"]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("sample",), "run missing, expected for instance: lightning-gen sample quickstart"),
        (("sample", "VAE", "--num_image", "3"), "num_image is no option. Did you mean num_images"),
        (("sample", "VAE", "--num_images", "0"), "--num_images is at least 1, got 0"),
        (("sample", "VAE", "--device", "cuda:7"), "this machine has no 'cuda:7'"),
        (("encode", "VAE", "--out", "a.png"), "--out takes .npz, .csv, got a.png"),
        (("sample", "VAE", "--out", "a.csv"), "a folder, .npz, got a.csv"),
        (("sample", "VAE", "--out", "new.gif"), "a folder, .npz, got new.gif"),
        (
            ("sample", "VAE", "--num_images", "10000000"),
            "million pixels, and there are at most 100",
        ),
        (("sample", "VAE", "--num_images", "99999999999"), "--num_images is at most 2,147,483,647"),
        (("sample", "VAE", "--num_images", "2000000000", "--out", "a"), "left on the disk of"),
        (("sample", "VAE", "--seed", "100000000000000000000000"), "--seed is at most 4,294,967,2"),
        (("sample", "VAE", "--out", ""), "--out takes a file, or a folder of its own"),
        (("reconstruct", "VAE", "--out", ".."), "files would be scattered in '..'"),
        (("encode", "VAE", "--out", "~nobody_at_all/a.npz"), "--out ~nobody_at_all/a.npz: "),
        (("traverse", "VAE", "--steps", "1000000"), "million pixels"),
        (("traverse", "VAE", "--steps", "1000000", "--out", "a.npz"), "Ask for fewer"),
        (("traverse", "VAE", "--span", "1e300"), "at most 100 standard deviations"),
        (("report", "VAE", "--out", "report.png"), "--out takes an .html file, got report.png"),
        (("sample", "VEA"), "got VEA. Finished runs stand in logs/<name>/version_<n>."),
        (("sample", "VAE", "--labels", "Bag"), "sample --labels needs a model that is conditional"),
        (("encode", "VAE", "--split", "tset"), "split: expected 'train', 'val', 'test', got tset"),
        (("encode", "VAE", "--images", "nope"), "--images nope: there is no such file or folder"),
        (("decode", "VAE", "nope.npz"), "expected an .npz or .csv of codes"),
        (("interpolate", "VAE", "--steps", "1"), "at least 2, got 1"),
        (("traverse", "VAE", "--dimensions", "3"), "dimensions are from 0 to 2"),
        (("traverse", "VAE", "--dimensions", "[0]"), "dimensions: expected int, got [0]."),
        (("traverse", "VAE", "--span", "0"), "span is above 0"),
        (("arithmetic", "VAE"), "terms missing"),
        (("arithmetic", "VAE", "Ankle", "boot", "Bag", "Coat"), "Quote a name that has blanks"),
        (("arithmetic", "VAE", "Bagg", "Coat", "Bag"), "got 'Bagg'. Did you mean Bag"),
        (("draw", "VAE"), "PICTURE missing. Choose among Arithmetic"),
        (("draw", "VAE", "Traversals"), "there is no picture Traversals. Did you mean Traversal?"),
        (("draw", "VAE", "my.Own"), "PICTURE: expected a part of lightning_gen"),
        (("draw", "VAE", "lightning_gen.models.VAE"), "expected a class of Picture, got the class"),
        (("draw", "VAE", "LatentGrid", "--step", "3"), "step is no option. Did you mean steps?"),
        (("draw", "VAE", "LatentGrid", "--dimensions", "1", "7"), "from 0 to 2, got 1 and 7"),
        (("draw", "VAE", "LatentScatter", "--out", "a.npz"), "--out takes .png, .pdf, .svg"),
        (("draw", "DCGAN", "Reconstructions"), "needs a model that reconstructs"),
        (("probe", "VAE", "--labels", "5"), "probe takes 10 labels or more, one a class, got 5"),
        (("probe", "VAE", "--out", "probe.txt"), "--out takes .csv, .png, .pdf, .svg, got probe"),
        (("compare", "VAE"), "compare takes at least two runs, got 1"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_a_user_gets_wrong_is_one_line(words, line, logs, command, monkeypatch):
    monkeypatch.chdir(logs.parent)
    before = sorted(Path().rglob("*"))
    command(*words).refused(line)
    assert sorted(Path().rglob("*")) == before


@pytest.mark.parametrize("verb", [name for name, verb in VERBS.items() if verb.out])
def test_help_tells_every_option(verb, command):
    answer = command(verb, "--help").done()
    said = " ".join(answer.out.split())
    for name in inspect.signature(function_of(verb)).parameters:
        if name not in ("run", "runs", "inputs", "picture"):
            assert f"--{name}" in said or name in said
    assert VERBS[verb].example in said


@pytest.mark.parametrize(
    ("model", "picture", "words"),
    [
        ("VAE", "LatentScatter", ("--projection", "TSNE", "--num_images", "60")),
        ("VAE", "LatentGrid", ("--dimensions", "2", "0", "--steps", "3")),
        ("VAE", "LatentScatter", ("--num_images", "100000")),  # more than a page of images has
        ("CVAE", "ConditionalSamples", ("--max_rows", "2", "--seed", "4")),
        ("DCGAN", "Interpolation", ("--num_pairs", "2")),
        ("CAE", "Reconstructions", ("--num_images", "3", "--split", "val")),
    ],
)
def test_any_picture_is_drawn(model, picture, words, logs, command, tmp_path):
    out = tmp_path / "drawn.png"
    command("draw", logs / model, picture, *words, "--out", out).done()
    assert np.asarray(Image.open(out)).std() > 1


def test_the_picture_of_python_is_the_verb_s(logs, command, tmp_path):
    command("draw", logs / "VAE", "LatentScatter", "--out", tmp_path / "drawn.png").done()
    run = FinishedRun.open(logs / "VAE")
    state = torch.get_rng_state()
    drawn = run.draw(LatentScatter())
    np.testing.assert_array_equal(np.asarray(drawn), np.asarray(Image.open(tmp_path / "drawn.png")))
    assert torch.equal(torch.get_rng_state(), state)


def test_a_place_that_cannot_be_written(logs, command, tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.png").mkdir()
    command("sample", logs / "VAE", "--out", tmp_path / "folder.png").refused("--out takes")
    answer = command("sample", logs / "VAE", "--out", tmp_path / "file" / "new.png")
    assert answer.code == 1
    assert "Pass another --out" in answer.line


@pytest.mark.parametrize(
    ("verb", "name", "begins"),
    [
        ("sample", "new.pdf", b"%PDF"),
        ("reconstruct", "new.svg", b"<?xml"),
        ("interpolate", "new.gif", b"GIF89a"),
        ("interpolate", "new.mp4", b"\0\0\0 ftyp"),
        ("traverse", "new.svg", b"<?xml"),
        ("probe", "new.svg", b"<?xml"),
    ],
)
def test_pictures_as_vectors_and_films(verb, name, begins, logs, command, tmp_path):
    command(verb, logs / "VAE", *WORDS.get(verb, ()), "--out", tmp_path / name).done()
    assert (tmp_path / name).read_bytes().startswith(begins)
    if name.endswith(".gif"):
        with Image.open(tmp_path / name) as film:
            assert film.n_frames == 2 * 10 - 2, "there and back"
    if verb == "probe":
        assert (tmp_path / "new.csv").is_file()
        assert b"accuracy in %" in (tmp_path / name).read_bytes()


def test_a_home_directory_is_found(logs, command, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert command("encode", logs / "VAE", "--num_images", 3, "--out", "~/codes.npz").code == 0
    command("decode", logs / "VAE", "~/codes.npz", "--out", "~/images").done()
    assert len(list((tmp_path / "home" / "images").iterdir())) == 3
    assert not (tmp_path / "~").exists()


@pytest.fixture
def run(logs, tmp_path):
    """A run that may be changed."""
    return shutil.copytree(logs / "VAE" / "version_0", tmp_path / "VAE" / "version_0")


@pytest.mark.parametrize(
    ("verb", "value"), [("sample", "nan"), ("probe", "inf"), ("compare", "nan")]
)
def test_weights_that_are_no_numbers_are_told(verb, value, run, logs, command):
    content = load_checkpoint(run / "checkpoints" / "best.ckpt")
    next(iter(content["state_dict"].values())).view(-1)[3] = float(value)
    torch.save(content, run / "checkpoints" / "best.ckpt")
    command(verb, run, *([logs / "CAE"] if verb == "compare" else [])).refused(
        "best.ckpt holds NaN or infinite weights"
    )


def other_data(run, name):
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["data"] = {"class_path": f"lightning_gen.data.{name}"}
    (run / "config.yaml").write_text(yaml.safe_dump(config))


def test_data_of_another_shape_are_told(run, command):
    other_data(run, "Shapes")
    for verb in ("reconstruct", "encode", "interpolate", "traverse", "probe"):
        command(verb, run).refused("gives images of 1x64x64, and its model takes 1x28x28")


def test_too_few_classes_are_told_before_anything_is_encoded(run, command, monkeypatch):
    other_data(run, "DSprites")
    monkeypatch.setattr(DSprites, "info", replace(DSprites.info, class_names=()))
    command("probe", run).refused(
        "probe needs images of at least 2 classes, and VAE/version_0 has 0"
    )


def test_ctrl_c_is_one_line(logs, command, monkeypatch):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(FinishedRun, "open", interrupted)
    answer = command("sample", logs / "VAE")
    assert (answer.code, answer.line) == (130, "lightning-gen sample: ended by Ctrl-C.")
