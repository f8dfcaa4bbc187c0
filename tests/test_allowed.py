"""What a configuration may name; these fail first where a new jsonargparse works otherwise."""

import os
import sys
from importlib import import_module

import pytest
from jsonargparse import ArgumentParser
from jsonargparse._common import parsing_settings

from lightning_gen import allowed
from lightning_gen.errors import UserError
from lightning_gen.parts import buildable
from support.refusals import assert_refused

BOMB = """
from pathlib import Path
Path("exploded").touch()

class Thing:
    pass
"""


@pytest.fixture
def bomb(tmp_path, monkeypatch):
    """The name of a class; whether its module has been imported."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delenv(allowed.VARIABLE, raising=False)
    (tmp_path / "bomb.py").write_text(BOMB)
    yield (tmp_path / "exploded").exists
    sys.modules.pop("bomb", None)


def test_a_strange_module_is_not_imported(bomb):
    with allowed.enforced(), pytest.raises(ImportError) as caught:
        allowed.imported("bomb.Thing")
    assert "got bomb.Thing, " in allowed.refusal(str(caught.value))
    said = allowed.refusal(str(caught.value))
    assert 'pass --allow bomb (in Python, load(..., allow="bomb"))' in said
    assert "or set LIGHTNING_GEN_ALLOW=bomb." in said
    assert not bomb()


def test_a_parser_asks_the_same(bomb):
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--thing", type=type)
    with (
        allowed.enforced(),
        pytest.raises(Exception, match=r"Importing 'bomb\.Thing' is not allowed"),
    ):
        parser.parse_object({"thing": "bomb.Thing"})
    assert not bomb()


@pytest.mark.parametrize("names", [["bomb"], ["other", "bomb"], ["bomb.Thing"]])
def test_what_the_user_allows_is_imported(names, bomb):
    with allowed.granted(names), allowed.enforced():
        assert allowed.imported("bomb.Thing").__name__ == "Thing"
    assert bomb()


@pytest.mark.parametrize("names", [["bom"], ["bombs"], ["other.bomb"], []])
def test_what_is_like_it_is_not(names, bomb):
    with allowed.granted(names), allowed.enforced(), pytest.raises(ImportError):
        allowed.imported("bomb.Thing")
    assert not bomb()


@pytest.mark.parametrize(
    "path",
    [
        *("os.system", "builtins.eval", "subprocess.Popen", "importlib.import_module"),
        *("lightning_gen.cli.main", "lightning_gen.load", "lightning_gen.training.claim.os"),
        *("lightning.pytorch.Trainer", "lightning.pytorch.cli.instantiate_class"),
        *("torch.load", "torch.hub.load", "torch.utils.cpp_extension.load"),
        # modules, functions and classes that those of the rooms import
        *(f"torch.nn.functional.{name}" for name in ("torch.load", "torch.from_file", "importlib")),
        *("torch.nn.modules.module.functools.partial", "lightning_gen.models.vae.torch.hub"),
        *("lightning_gen.data.published.download_url", "lightning_gen.data.published.Path"),
        *("lightning.pytorch.callbacks.timer.log.info", "torch.optim.Adam.__class__"),
        "lightning_gen.models.VAE.load_from_checkpoint",
        "lightning.pytorch.loggers.wandb.os.system",
    ],
)
def test_refused(path, monkeypatch):
    monkeypatch.delenv(allowed.VARIABLE, raising=False)
    with allowed.enforced(), pytest.raises((ImportError, AttributeError)):
        allowed.imported(path)


@pytest.mark.parametrize(
    "path",
    [
        *("lightning_gen.models.VAE", "lightning_gen.data.shapes.Shapes", "torch.nn.Tanh"),
        *("torch.optim.lr_scheduler.CosineAnnealingLR", "lightning.pytorch.loggers.WandbLogger"),
        *("lightning.pytorch.callbacks.EMAWeightAveraging", "torch.optim.Adam"),
        *("lightning.pytorch.strategies.DDPStrategy", "lightning.pytorch.profilers.SimpleProfiler"),
        "lightning.pytorch.accelerators.CPUAccelerator",
        "lightning.pytorch.plugins.environments.SLURMEnvironment",
        "lightning.pytorch.plugins.io.TorchCheckpointIO",
        "lightning.pytorch.plugins.precision.MixedPrecision",
    ],
)
def test_allowed(path, monkeypatch):
    monkeypatch.delenv(allowed.VARIABLE, raising=False)
    with allowed.enforced():
        assert allowed.imported(path).__name__ == path.rpartition(".")[2]


def test_every_class_that_a_room_offers(monkeypatch):
    monkeypatch.delenv(allowed.VARIABLE, raising=False)
    with allowed.enforced():
        for room in allowed.TRUSTED_MODULES:
            if room.startswith("lightning_gen."):
                for part in buildable(import_module(room)):
                    assert allowed.imported(f"{room}.{part.__name__}") is part


def test_the_settings_are_given_back():
    before = parsing_settings.copy()
    with allowed.granted(["my_model"]), allowed.enforced():
        assert parsing_settings["import_path_verdicts"]["my_model"]
    assert parsing_settings == before
    with allowed.granted(["my/model"]), pytest.raises(UserError), allowed.enforced():
        pass
    assert parsing_settings == before


@pytest.mark.parametrize(
    ("words", "rest", "names"),
    [
        (["fit", "--model", "VAE"], ["fit", "--model", "VAE"], []),
        (["fit", "--allow", "a", "--model", "a.B"], ["fit", "--model", "a.B"], ["a"]),
        (["fit", "--allow=a,b.c", "x", "--allow", "d"], ["fit", "x"], ["a", "b.c", "d"]),
    ],
)
def test_the_words(words, rest, names):
    assert allowed.split(words) == (rest, names)


@pytest.mark.parametrize(
    "words",
    [
        *(["--allow"], ["--allow="], ["--allow", "a/b.py"], ["--allow", "--model"]),
        *(["--allow", "*"], ["--allow", "a..b"], ["--allow", "jsonargparse"]),
    ],
)
def test_what_is_no_module(words):
    assert_refused(r"such as (--allow )?my_model", allowed.split, ["fit", *words])


def test_the_variable_is_added_to_and_given_back(monkeypatch):
    monkeypatch.setenv(allowed.VARIABLE, "a")
    with allowed.granted(["b", "c.d"]):
        assert allowed.modules(os.environ[allowed.VARIABLE]) == ["a", "b", "c.d"]
    assert os.environ[allowed.VARIABLE] == "a"
