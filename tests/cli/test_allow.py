"""What a configuration, a checkpoint or a run names is imported only where the user allows it."""

import shutil
import sys

import pytest
import torch
import yaml

import lightning_gen
from support.command import MINI_DATA, NO_PICTURES, SMALL, SMALL_MODEL, TWO_BATCHES
from support.refusals import assert_refused
from support.sweeps import write_sweep

OWN = """
from pathlib import Path

from lightning.pytorch import Callback
from lightning.pytorch.strategies import SingleDeviceStrategy
from torch import nn

from lightning_gen.data import MiniFashionMNIST
from lightning_gen.models import VAE

Path("imported").touch()

class Model(VAE):
    pass

class Data(MiniFashionMNIST):
    pass

class Watcher(Callback):
    pass

class Activation(nn.ReLU):
    pass

class Strategy(SingleDeviceStrategy):
    pass

def build(parameters=None):
    Path("called").touch()
"""

EVERYWHERE = [
    ("model", "own.Model"),
    ("model", "{class_path: own.Model}"),
    ("data", "own.Data"),
    ("trainer.callbacks", "own.Watcher"),
    ("trainer.callbacks+", "own.Watcher"),
    ("trainer.callbacks", "[{class_path: SampleDiversity}, {class_path: own.Watcher}]"),
    ("pictures", "[{class_path: Samples}, {class_path: own.Watcher}]"),
    ("pictures", "own.build"),
    ("model.architecture.activation", "own.Activation"),
    ("model.optimizer", "own.build"),
    ("model.optimizer", "{class_path: own.build, init_args: {lr: 1}}"),
    ("model.lr_scheduler", "{class_path: LambdaLR, init_args: {lr_lambda: own.build}}"),
    ("model.likelihood", "own.Model"),
    ("model.objective", "{class_path: own.Model}"),
    ("trainer.logger", "own.Watcher"),
    ("trainer.logger", "{class_path: WandbLogger, init_args: {experiment: {class_path: own.A}}}"),
    ("trainer.plugins", "own.Strategy"),
]

WORDS_OF_LIGHTNING = ("strategy", "accelerator", "profiler")


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A file of the user's own in the current folder; whether it has been imported."""
    monkeypatch.delenv("LIGHTNING_GEN_ALLOW", raising=False)
    (tmp_path / "own.py").write_text(OWN)
    yield (tmp_path / "imported").exists
    sys.modules.pop("own", None)
    assert not (tmp_path / "called").exists()


def check(answer, own):
    assert answer.code in (1, 2)
    assert "got own." in answer.line
    assert "pass --allow own (in Python, " in answer.line
    assert "or set LIGHTNING_GEN_ALLOW=own." in answer.line
    assert not own()


@pytest.mark.parametrize(("key", "value"), EVERYWHERE)
def test_refused_on_the_command_line(key, value, own, command, tmp_path):
    answer = command("fit", *SMALL, f"--{key}", value)
    check(answer, own)
    assert answer.line.startswith(f"lightning-gen fit: {key.rstrip('+')}")
    assert not (tmp_path / "logs").exists()


@pytest.mark.parametrize(
    "text",
    [
        "model: own.Model",
        "data: {class_path: own.Data}",
        "pictures: [{class_path: Samples}, own.build]",
        "trainer: {callbacks: [{class_path: SampleDiversity}, {class_path: own.Watcher}]}",
        "model: {class_path: VAE, init_args: {optimizer: {class_path: own.build}}}",
    ],
)
def test_refused_in_a_file(text, own, command, tmp_path):
    (tmp_path / "config.yaml").write_text(text)
    check(command("fit", *SMALL, "--config", "config.yaml"), own)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("model.optimizer", "os.system"),
        ("model.optimizer", "subprocess.Popen"),
        ("model.optimizer", "{class_path: subprocess.Popen, init_args: {args: [touch, called]}}"),
        ("model.architecture.activation", "torch.nn.modules.module.functools.partial"),
        ("model.architecture.activation", "lightning_gen.training.environment.subprocess.Popen"),
        ("model.architecture.activation", "lightning_gen.cli.main"),
        ("trainer.logger", "{class_path: WandbLogger, init_args: {experiment: {class_path: "
         "subprocess.Popen, init_args: {args: [touch, called]}}}}"),
        ("trainer.callbacks", "{class_path: LambdaCallback, init_args: {on_fit_start: os.abort}}"),
    ],
)  # fmt: skip
def test_what_python_brings_is_refused_too(key, value, own, command):
    command("fit", *SMALL, f"--{key}", value).refused(
        "whose code would run. If you trust it, pass --allow "
    )


@pytest.mark.parametrize(
    "words",
    [
        ("--model", "own.Model", *MINI_DATA),
        (*SMALL_MODEL, "--data", "own.Data"),
        (*SMALL_MODEL, *MINI_DATA, "--model.architecture.activation", "own.Activation"),
    ],
)
def test_allowed(words, own, command):
    run = ("--trainer.fast_dev_run", "true", *NO_PICTURES, *TWO_BATCHES)
    command("fit", "--allow", "own", *words, *run).done()
    assert own()


def test_allowed_by_the_variable(own, command, monkeypatch):
    monkeypatch.setenv("LIGHTNING_GEN_ALLOW", "another, own")
    command("fit", *SMALL, "--model", "own.Model", "--trainer.fast_dev_run", "true").done()
    assert own()


@pytest.mark.parametrize(
    "line", ["allow: own", "trainer: {allow: own}", "LIGHTNING_GEN_ALLOW: own"]
)
def test_a_file_allows_nothing(line, own, command, tmp_path):
    (tmp_path / "config.yaml").write_text(f"model: own.Model\ndata: Shapes\n{line}\n")
    command("fit", "--config", "config.yaml").refused()
    assert not own()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("model.latent_dim", "module 'own' has no attribute 'x'"),  # as an error would say
        *((f"trainer.{key}", "own.Strategy") for key in WORDS_OF_LIGHTNING),
        *((f"trainer.{key}", "{class_path: own.Strategy}") for key in WORDS_OF_LIGHTNING),
    ],
)
def test_what_names_no_class_is_never_imported(key, value, own, command):
    answer = command("fit", *SMALL, f"--{key}", value)
    answer.refused()
    assert answer.line.startswith(f"lightning-gen fit: {key.split('.')[0]}")
    assert not own()


@pytest.fixture
def strange(tmp_path, finished):
    """A finished run whose files name classes of the user's own."""
    run = tmp_path / "logs" / "strange" / "version_0"
    shutil.copytree(finished, run)

    def change(model=None, data=None):
        config = yaml.safe_load((run / "config.yaml").read_text())
        config["model"]["class_path"] = model or config["model"]["class_path"]
        config["data"]["class_path"] = data or config["data"]["class_path"]
        (run / "config.yaml").write_text(yaml.safe_dump(config))
        for path in (run / "checkpoints").iterdir():
            content = torch.load(path, weights_only=True)
            kept = content["hyper_parameters"]
            kept["_class_path"] = model or kept["_class_path"]
            torch.save(content, path)

    return change


WORDS = {
    "test": ("test", "logs/strange/version_0", "--trainer.limit_test_batches", "1"),
    "sample": ("sample", "strange", "--num_images", "2"),
    "encode": ("encode", "strange", "--split", "test"),
    "compare": ("compare", "strange", "strange"),
}


class TestFinishedRun:
    @pytest.mark.parametrize("verb", ["test", "sample", "encode", "compare"])
    def test_of_a_strange_model(self, verb, strange, own, command):
        strange(model="own.Model")
        check(command(*WORDS[verb]), own)
        if verb == "sample":
            command(*WORDS[verb], "--allow", "own").done()

    def test_in_python(self, strange, own, in_tmp, monkeypatch):
        monkeypatch.syspath_prepend(str(in_tmp))
        strange(model="own.Model")
        assert_refused(r'allow="own"', lightning_gen.load, "strange")
        assert not own()
        assert type(lightning_gen.load("strange", allow="own")).__name__ == "Model"

    def test_a_report_does_without_its_model(self, strange, own, command):
        strange(model="own.Model")
        assert command("report", "strange").code == 0
        assert not own()

    @pytest.mark.parametrize("verb", ["test", "encode"])
    def test_of_strange_data(self, verb, strange, own, command):
        strange(data="own.Data")
        check(command(*WORDS[verb]), own)
        command(*WORDS[verb], "--allow", "own").done()


@pytest.fixture
def package(own, tmp_path, monkeypatch):
    """The file as a package that is installed in a folder, and registers itself."""

    def install(folder):
        (folder / "theirs-1.0.dist-info").mkdir(parents=True)
        text = (tmp_path / "own.py").read_text().replace("class Model", "class TheirModel")
        (folder / "theirs.py").write_text(text)
        about = {"METADATA": "Name: theirs\nVersion: 1.0\n"}
        about |= {"entry_points.txt": "[lightning_gen]\nall = theirs\n"}
        for name, text in about.items():
            (folder / "theirs-1.0.dist-info" / name).write_text(text)
        monkeypatch.syspath_prepend(str(folder))

    yield install
    sys.modules.pop("theirs", None)


@pytest.mark.parametrize("model", ["theirs.TheirModel", "TheirModel"])
def test_an_installed_package_registers_its_classes(model, package, command, tmp_path):
    package(tmp_path / "site")
    words = ("--model", model, *SMALL_MODEL[2:], "--data", "theirs.Data", "--data.batch_size", "50")
    command("fit", *words, "--trainer.callbacks", "theirs.Watcher", *TWO_BATCHES).done()
    command("sample", "theirmodel_data").done()
    assert type(lightning_gen.load("theirmodel_data")).__module__ == "theirs"


def test_the_working_directory_registers_nothing(package, command, tmp_path):
    package(tmp_path)
    words = ("--model", "theirs.TheirModel", *SMALL_MODEL[2:], *MINI_DATA)
    command("fit", *words).refused("pass --allow theirs")
    assert not (tmp_path / "imported").exists()


def test_a_sweep_of_strange_data(own, command, tmp_path):
    write_sweep(tmp_path)
    check(command("sweep", "own.yaml", "--data", "own.Data"), own)


@pytest.mark.slow
def test_trials_of_a_sweep_inherit_it(own, command, tmp_path):
    words = ("--data", "own.Data", "--data.batch_size", "50", *TWO_BATCHES)
    write_sweep(tmp_path, parameters={"model.latent_dim": [2]})
    command("sweep", "own.yaml", *words, "--allow", "own").done()


def test_wandb_agents_are_told(own, command, tmp_path):
    write_sweep(tmp_path)
    command("sweep", "own.yaml", "--write-wandb", "w.yaml", "--allow", "own,other").done()
    line = " ".join(yaml.safe_load((tmp_path / "w.yaml").read_text())["command"])
    assert "--allow own --allow other" in line
