"""Recipes: configurations that are found by their names from anywhere, in the wheel too."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

from lightning_gen.cli import recipes
from lightning_gen.cli.recipes import header, with_recipes
from support.command import CONF

FAST = ("--trainer.fast_dev_run", "1", "--trainer.accelerator", "cpu")
NAMES = recipes.recipes()


def test_every_file_is_a_recipe_and_no_two_have_one_name():
    files = sorted(CONF.rglob("*.yaml"))
    assert sorted(path.resolve() for path in NAMES.values()) == [
        path for path in files if path.name != "reproduce.yaml"
    ]


@pytest.mark.parametrize("name", recipes.recipes(".", "experiment", "sweep"))
def test_a_header_tells_how_it_is_run(name):
    first, told = header(NAMES[name])
    assert first
    verb = "sweep" if NAMES[name].parent.name == "sweep" else "fit --config"
    assert told["Command"].startswith(f"lightning-gen {verb} {name}")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["fit", "--config", "quickstart"], ["fit", "--config", "quickstart.yaml"]),
        (["fit", "-c=fashion_mnist_ae"], ["fit", "-c=experiment/fashion_mnist_ae.yaml"]),
        (["fit", "--model", "vae"], ["fit", "--model", "model/vae.yaml"]),
        (["fit", "--trainer.logger", "wandb"], ["fit", "--trainer.logger", "logger/wandb.yaml"]),
        (["sweep", "mnist_vae", "--jobs", "2"], ["sweep", "sweep/mnist_vae.yaml", "--jobs", "2"]),
    ],
)
def test_a_name_stands_for_its_file(words, expected, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = [word.replace(f"{recipes.RECIPES}/", "") for word in with_recipes(words)]
    assert found == expected


@pytest.mark.parametrize(
    "words",
    [
        ["fit", "--model", "VAE", "--data", "MNIST", "--name", "quickstart"],
        ["fit", "--config", "own.yaml", "--model.latent_dim", "2"],
        ["sample", "quickstart", "--num_images", "4"],
        ["reproduce", "quickstart"],
    ],
)
def test_other_words_stay(words):
    assert with_recipes(words) == words


def test_a_file_beside_the_user_goes_first(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("quickstart.yaml").write_text("seed_everything: 3")
    assert with_recipes(["fit", "--config", "quickstart"])[2] == "quickstart.yaml"
    assert "quickstart.yaml of the working directory is taken" in capsys.readouterr().err
    Path("VAE.yaml").touch()
    assert with_recipes(["fit", "--model", "VAE"])[2] == "VAE", "the name of a class"


def test_unknown_names(command):
    answer = command("fit", "--config", "quikstart")
    answer.refused("there is no file and no recipe quikstart. Did you mean quickstart?")
    command("fit", "--trainer", "gpuu").refused("no recipe gpuu. Did you mean gpu?")
    command("sweep", "mnist_vae_bet").refused(
        "no recipe mnist_vae_bet. Did you mean mnist_vae_beta?"
    )
    command("recipes", "quikstart").refused("there is no recipe quikstart. Did you mean")
    command("recipes", "--copy", "x.yaml").refused("name the recipe to copy")
    Path("x.yaml").touch()
    command("recipes", "quickstart", "--copy", "x.yaml").refused("x.yaml exists")
    command("recipes", "quickstart", "--copy", "x.yaml/y.yaml").refused("Name another file")


def test_they_are_listed_and_printed(command):
    said = command("recipes").done().out
    assert all(f"  {name} " in said for name in NAMES)
    assert "Paper    Burda, Grosse & Salakhutdinov 2016" in said
    assert command("recipes", "vae").done().out == NAMES["vae"].read_text()


@pytest.mark.parametrize("name", ["quickstart", "fashion_mnist_vqvae", "mnist_vae_beta"])
def test_a_copy_stands_alone(name, command):
    command("recipes", name, "--copy", "own.yaml").done()
    text = Path("own.yaml").read_text()
    assert "own.yaml" in text.partition("\nseed")[0].partition("\nconfig")[0]
    content = yaml.safe_load(text)
    if "config" in content:
        assert content["config"] in NAMES
    else:
        assert content["model"]["class_path"].startswith("lightning_gen.models.")
    if name == "quickstart":
        command("fit", "--config", "own.yaml", *FAST).done()


@pytest.mark.slow
def test_a_wheel_has_them(tmp_path):
    """In an empty folder, without a checkout: the quickstart, on the packages that are here."""
    root = tmp_path / "copy"  # pip leaves a folder where it builds
    for name in ("lightning_gen", "conf"):
        shutil.copytree(CONF.parent / name, root / name, symlinks=True)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(CONF.parent / name, root)
    pip = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", tmp_path, root]
    subprocess.run(pip, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(tmp_path / "installed")
    folder = tmp_path / "empty"
    folder.mkdir()

    def run(*words):
        code = f"import sys; sys.path.insert(0, {str(tmp_path / 'installed')!r})"
        code += "; from lightning_gen.cli import main; sys.exit(main())"
        call = [sys.executable, "-P", "-c", code, *words]
        done = subprocess.run(call, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "fashion_mnist_vae" in run("recipes")
    assert "binarized_mnist_vae" in run("reproduce", "--list")
    run("fit", "--config", "quickstart", "--trainer.accelerator", "cpu")
    run("sample", "quickstart")
    run("report", "quickstart")
    assert (folder / "logs/quickstart/version_0/report.html").stat().st_size > 10_000
