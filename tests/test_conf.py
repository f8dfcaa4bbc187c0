"""Every YAML below conf/ runs."""

import pytest
import torch
import yaml

from lightning_gen.cli.recipes import recipes
from lightning_gen.cli.sweep import check_values, ends
from lightning_gen.features import inception
from lightning_gen.runs.sweep.reading import read_sweep
from lightning_gen.runs.sweep.trial import as_words, fit_words, read_outcome
from lightning_gen.training.directory import RunDirectory
from support import datasets
from support.command import (
    CONF,
    MINI_DATA,
    NO_PICTURES,
    SMALL_MODEL,
    TWO_BATCHES,
    assert_whole,
    only_run,
)
from support.inception import write_weights

FILES = sorted(CONF.rglob("*.y*ml"))
MINI = CONF / "data" / "mini_fashion_mnist.yaml"

# These take the network's place: what the machine has, and what leaves it.
ONE_PROCESS = (
    *("--trainer.accelerator", "cpu", "--trainer.devices", "1", "--trainer.strategy", "auto"),
)
OVERRIDES = {
    "trainer/cpu": (),
    "trainer/gpu": ("--trainer.accelerator", "cpu", "--trainer.devices", "1"),
    "trainer/multi_gpu": ONE_PROCESS,
    "trainer/slurm": ONE_PROCESS,
    "logger/wandb": ("--trainer.logger.offline", "true"),
    "logger/tensorboard": (),
}


# Two batches of these are too few, or take minutes.
FACTORS = (
    *("--trainer.limit_test_batches", "4"),
    *("--trainer.callbacks", "Disentanglement", "--trainer.callbacks.dci", "false"),
)
LIKELIHOOD = (
    *("--trainer.check_val_every_n_epoch", "1"),
    *("--trainer.callbacks", "LikelihoodBound", "--trainer.callbacks.num_samples", "10"),
)
SHORTER = {
    **dict.fromkeys(("shapes_beta_vae", "shapes_factor_vae", "shapes_beta_tc_vae"), FACTORS),
    **dict.fromkeys(("dsprites_beta_vae", "dsprites_factor_vae"), FACTORS),
    **{
        f"binarized_mnist_{name}": LIKELIHOOD
        for name in ("vae", "iwae", "vamp_vae", "hierarchical_vae")
    },
    "photos": ("--trainer.check_val_every_n_epoch", "1"),
    "cifar10_dcgan": ("--data.batch_size", "10"),
    "celeba_res_vae": ("--data.batch_size", "4"),
    "cifar10_vqvae": (  # a picture draws 640 codes an image, one after the other
        *("--data.batch_size", "4", "--model.codebook.count", "2"),
        *("--model.prior.width", "32", "--model.prior.depth", "1"),
    ),
}


FAST = ("vae",)
"""The experiment and the model that also the fast tests train."""


def pieces(*folders, slow=False):
    found = [path for path in FILES if path.parent.name in folders]
    assert {path.parent.name for path in found} == {*folders}, "no YAML"
    marked = [
        pytest.param(path, marks=[pytest.mark.slow] if slow and path.stem not in FAST else [])
        for path in found
    ]
    return pytest.mark.parametrize("path", marked, ids=[path.stem for path in found])


def key(path):
    return path.relative_to(CONF).with_suffix("").as_posix()


def test_every_file_is_of_a_folder_that_the_tests_know():
    assert FILES
    folders = {key(path).rpartition("/")[0] for path in FILES}
    assert folders == {"", "experiment", "model", "data", "trainer", "logger", "sweep"}
    assert [key(path) for path in FILES if "/" not in key(path)] == ["quickstart", "reproduce"]


def test_quickstart(command, tmp_path):
    check_experiment(CONF / "quickstart.yaml", command, tmp_path)


@pieces("experiment", slow=True)
def test_experiments(path, command, tmp_path, request, monkeypatch):
    if "features.Inception" in path.read_text():
        weights = write_weights(tmp_path / "weights.pth")
        monkeypatch.setattr(inception, "fetched", lambda: weights)
        monkeypatch.setattr(inception, "published", lambda path: path.read_bytes())
    check_experiment(path, command, tmp_path, *place(path, tmp_path, request))


def check_experiment(path, command, tmp_path, *words):
    answer = command("fit", "--config", path, *TWO_BATCHES, *words, *SHORTER.get(path.stem, ()))
    assert answer.code == 0, answer.err
    directory = only_run(tmp_path / "logs")
    assert directory == tmp_path / "logs" / path.stem / "version_0"
    assert_whole(directory)
    drawn = {folder.name for folder in (directory / "images").iterdir()}
    assert "loss_curves" in drawn
    assert drawn & {"reconstructions", "samples", "latent_scatter"}


@pieces("experiment")
def test_experiments_are_understood_and_headers_are_lab_notes(path, main, in_tmp, capsys):
    command = f"Command: lightning-gen fit --config {path.stem}"
    assert command in path.read_text()
    with pytest.raises(SystemExit, match="0"):
        main(["fit", "--config", str(path), "--print_config"])
    parsed = yaml.safe_load(capsys.readouterr().out)
    assert parsed["model"]["class_path"].startswith("lightning_gen.models.")


@pieces("model", slow=True)
def test_models(path, command, tmp_path):
    words = ("--model", path, "--data", MINI, "--data.batch_size", 16, *TWO_BATCHES)
    answer = command("fit", *words, "--name", "here")
    assert answer.code == 0, answer.err
    assert_whole(tmp_path / "logs" / "here" / "version_0")


@pieces("data")
def test_data(path, command, tmp_path, request):
    words = (*SMALL_MODEL, "--data", path, *NO_PICTURES, *TWO_BATCHES)
    answer = command("fit", *words, *place(path, tmp_path, request))
    assert answer.code == 0, answer.err
    assert_whole(only_run(tmp_path / "logs"), pictures=False)


def place(path, tmp_path, request):
    """Put the files of a dataset somewhere; the words that say where."""
    name, root = data_class(path), tmp_path / "data"
    root.mkdir()
    match name:
        case "MNIST" | "FashionMNIST" | "StackedMNIST":
            root = request.getfixturevalue("shared_data")
        case "CIFAR10":
            monkeypatch = request.getfixturevalue("monkeypatch")
            datasets.unpack_cifar10(
                root, datasets.cifar10_files(datasets.cifar10_batches(), monkeypatch)
            )
        case "CelebA":
            datasets.write_celeba_images(root / "celeba" / "img_align_celeba")
            datasets.write_celeba_tables(root / "celeba")
        case "DSprites":
            datasets.write_dsprites(root, datasets.dsprites_arrays(3000, metadata="none"))
        case "ImageFolder":
            datasets.write_images(root)
        case "Shapes" | "MiniFashionMNIST":
            return ()
        case _:
            pytest.fail(f"tests/test_conf.py has no stand-in for the files of {name}")
    return ("--data.root", root)


def data_class(path):
    content = yaml.safe_load(path.read_text())
    content = content.get("data", content)
    if isinstance(content, str):
        return data_class(path.parent / content)
    return content["class_path"].rpartition(".")[2]


@pieces("trainer", "logger")
def test_trainers_and_loggers(path, command, tmp_path):
    logger = path.parent.name == "logger"
    words = ("--trainer.logger" if logger else "--trainer", path)
    here = () if torch.cuda.is_available() and not logger else OVERRIDES[key(path)]
    small = (*SMALL_MODEL, *MINI_DATA, *NO_PICTURES, *TWO_BATCHES)
    answer = command("fit", *words, *small, *here)
    assert answer.code == 0, answer.err
    directory = only_run(tmp_path / "logs")
    if logger:
        assert (directory / path.stem).is_dir()
        assert RunDirectory(directory).best.is_file()
    else:
        assert_whole(directory, pictures=False)


@pieces("sweep")
def test_sweeps(path, command, tmp_path):
    """`fit` takes every value, and a run with the first of each gives the metric."""
    sweep = read_sweep(path, recipes("experiment"))
    check_values(sweep, ())
    first = {key: ends(parameter)[0] for key, parameter in sweep.parameters.items()}
    words = (*fit_words(sweep, ()), *as_words(first), "--data", MINI, *NO_PICTURES, *TWO_BATCHES)
    answer = command(*words)
    assert answer.code == 0, answer.err
    outcome = read_outcome(sweep, RunDirectory(only_run(tmp_path / "logs")))
    assert outcome.value is not None
    assert f"Command: lightning-gen sweep {path.stem}\n" in path.read_text()
