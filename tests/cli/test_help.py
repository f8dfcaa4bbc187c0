"""What the command says about itself, that it says it at once, and how it imports its verbs."""

import gc
import subprocess
import sys
import time
from pathlib import Path

import pytest
from jsonargparse import ArgumentParser

from lightning_gen import __version__, data
from lightning_gen.cli import VERBS, help_text, loaded, main
from lightning_gen.cli.help import LINKED, class_options
from support.command import CONF
from support.models import KINDS


def ran(*words):
    """What a process printed, and how it ended."""
    return subprocess.run(words, capture_output=True, text=True, check=False)


def helped(*words):
    """What the command printed, and the names of all that it imported."""
    done = ran(sys.executable, "-X", "importtime", "-m", "lightning_gen", *words)
    assert done.returncode == 0
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert not {"torch", "lightning", "numpy"} & imported
    return done.stdout, imported


def test_help_lists_every_verb_at_once():
    start = time.monotonic()
    said, imported = helped("--help")
    assert time.monotonic() - start < 3
    for name, verb in VERBS.items():
        (line,) = [line for line in said.splitlines() if line.startswith(f"  {name} ")]
        assert line.split(maxsplit=1) == [name, verb.summary]
    assert "lightning_gen.cli" in imported
    assert not {"wandb", "jsonargparse"} & imported


def test_the_command_is_installed():
    done = ran(Path(sys.executable).with_name("lightning-gen"), "--version")
    assert (done.returncode, done.stdout) == (0, f"lightning-gen {__version__}\n")


@pytest.mark.parametrize("words", [["-h"], ["--help"], ["help"], []])
def test_help(words, capsys):
    assert main(words) == (0 if words else 2)
    assert capsys.readouterr().out == help_text()


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("fti", "Did you mean fit?"),
        ("tset", "Did you mean test?"),
        ("xyzzy", "Choose among arithmetic,"),
    ],
)
def test_unknown_verb(word, hint, command):
    command(word).refused(f"there is no verb {word}. {hint}")


@pytest.mark.parametrize(
    ("verb", "option"),
    [("traverse", "--num_dimensions"), ("sweep", "--jobs N"), ("reproduce", "--fresh")],
)
def test_help_of_a_verb_comes_at_once(verb, option):
    said, _ = helped(verb, "--help")
    assert option in said
    assert f"lightning-gen {VERBS[verb].example}" in said


def test_help_of_everything_is_the_parser_s(command):
    with pytest.raises(SystemExit, match=r"\A0\Z"):
        command("fit", "--help", "all")


def test_help_of_a_verb_names_its_options(command):
    config = CONF / "experiment" / "fashion_mnist_conv_vae.yaml"
    options = ("--config", "--model", "--data", "--trainer.max_epochs", "--test_after_fit")
    options += ("--model.latent_dim", "--data.batch_size", "--model.optimizer.lr")
    for words, named in ((["fit"], ()), (["test"], ()), (["fit", "--config", config], options)):
        text = command(*words, "--help").done().out
        assert text.startswith(f"usage: lightning-gen {words[0]}")
        assert named or len(text.splitlines()) < 60
        assert all(option in text for option in named)


@pytest.mark.parametrize(
    ("room", "kind"),
    [("data", getattr(data, name)) for name in data.__all__] + [("models", kind) for kind in KINDS],
)
def test_help_of_a_class_names_what_the_parser_takes(room, kind):
    taken = [name.split(".")[1] for name in ArgumentParser().add_class_arguments(kind, "part")]
    shown = class_options(room, kind.__name__)
    assert {name for name, _, _ in shown} == {*taken} - {*LINKED}
    assert all(about for _, _, about in shown)


@pytest.mark.parametrize("collects", [True, False])
def test_garbage_is_looked_for_after_an_import_and_only_where_it_was_before(
    collects, tmp_path, monkeypatch
):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "some_verb.py").write_text("import gc\ncollecting = gc.isenabled()\n")
    (tmp_path / "broken_verb.py").write_text("raise KeyError('broken')")
    try:
        (gc.enable if collects else gc.disable)()
        assert not loaded("some_verb").collecting
        assert gc.isenabled() is collects
        assert not collects or gc.get_freeze_count() > 0
        with pytest.raises(KeyError, match="broken"):
            loaded("broken_verb")
        assert gc.isenabled() is collects
    finally:
        gc.enable()
        gc.unfreeze()
        sys.modules.pop("some_verb", None)
