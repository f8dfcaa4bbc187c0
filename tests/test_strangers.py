"""A stranger's folder, configuration, run or checkpoint runs nothing of the stranger's.

Each attack leaves a mark where it is run.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

from support.attacks import EVIL, PARTS, TRAINER
from support.refusals import assert_refused

BOMB = """
from pathlib import Path
Path({mark!r}).touch()

def f(*arguments, **options):
    Path({mark!r}).touch()
"""
SHADOWS = (
    *("yaml", "json", "torch", "PIL", "numpy", "lightning"),
    *("csv", "email", "typing", "umap", "wandb"),
)
PROJECT = Path(__file__).parents[1]


@pytest.fixture
def folder(tmp_path, finished):
    """A folder somebody was sent: modules that shadow others, a repository, a run."""
    mark = str(tmp_path / "exploded")
    for name in SHADOWS:
        (tmp_path / f"{name}.py").write_text(BOMB.format(mark=mark))
    run = tmp_path / "logs" / "stranger" / "version_0"
    (run / "checkpoints").mkdir(parents=True)
    (run / "evil.py").write_text(BOMB.format(mark=mark))
    program = tmp_path / "program.sh"
    program.write_text(f"#!/bin/sh\ntouch {mark}\n")
    program.chmod(0o755)
    git = tmp_path / ".git"
    git.mkdir()
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    (git / "config").write_text(
        f"[core]\n\trepositoryformatversion = 0\n\tfsmonitor = {program}\n"
        f'[filter "x"]\n\tclean = {program}\n'
    )
    for name in ("config.yaml", "environment.json", "metrics.csv"):
        (run / name).write_bytes((finished / name).read_bytes())
    checkpoint = finished / "checkpoints" / "best.ckpt"
    (run / "checkpoints" / "best.ckpt").write_bytes(checkpoint.read_bytes())
    return tmp_path


def run_module(folder, *words):
    return subprocess.run(
        [sys.executable, "-m", "lightning_gen", *map(str, words)],
        cwd=folder,
        env={k: v for k, v in os.environ.items() if k != "LIGHTNING_GEN_ALLOW"}
        | {"PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        timeout=300,
    )


SMALL = (
    *("--model", "VAE", "--data", "MiniFashionMNIST", "--trainer.max_steps", "1"),
    *("--trainer.limit_val_batches", "1", "--trainer.limit_test_batches", "1"),
    *("--trainer.accelerator", "cpu", "--default_pictures", "false"),
)


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(("fit", *SMALL), marks=pytest.mark.slow),
        ("fit", "--help"),
        pytest.param(("report", "stranger"), marks=pytest.mark.slow),
        pytest.param(("sample", "stranger"), marks=pytest.mark.slow),
        ("--version",),
    ],
    ids=lambda words: words[0],
)
def test_nothing_is_imported_from_the_working_directory(words, folder):
    answer = run_module(folder, *words)
    assert answer.returncode == 0, answer.stderr
    assert not (folder / "exploded").exists()


def test_what_load_starts_imports_nothing_from_the_working_directory(folder, monkeypatch):
    """jsonargparse asks another Python for its path, once, where it looks for stubs."""
    import lightning_gen
    from lightning_gen.training import checkpoint

    monkeypatch.chdir(folder)
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    ask = [sys.executable, "-c", "import sys, json; print(json.dumps(sys.path))"]
    said = []
    monkeypatch.setattr(checkpoint, "check_part", lambda *_: said.append(subprocess.run(ask)))
    lightning_gen.load("stranger")
    assert [done.returncode for done in said] == [0]
    assert not (folder / "exploded").exists()
    assert "PYTHONSAFEPATH" not in os.environ


def change_checkpoint(folder, key, value):
    path = folder / "logs/stranger/version_0/checkpoints/best.ckpt"
    checkpoint = torch.load(path)
    checkpoint["hyper_parameters"][key] = value
    torch.save(checkpoint, path)


ATTACKS = [(key, part) for key, parts in PARTS.items() for part in parts]


@pytest.mark.parametrize(("key", "part"), ATTACKS, ids=lambda value: str(value)[:40])
def test_a_checkpoint_names_classes_of_its_keys_alone(key, part, folder, monkeypatch):
    import lightning_gen

    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder / "nothing"))
    change_checkpoint(folder, key, part)
    assert_refused(f"{key}|{EVIL}", lightning_gen.load, "stranger")
    assert not (folder / "exploded").exists()
    assert EVIL not in sys.modules


def test_a_checkpoint_does_not_choose_what_builds_it(folder, monkeypatch):
    import lightning_gen

    monkeypatch.chdir(folder)
    change_checkpoint(folder, "_instantiator", f"{EVIL}.f")
    lightning_gen.load("stranger")
    assert not (folder / "exploded").exists()


@pytest.mark.parametrize("verb", ["fit", "test"])
@pytest.mark.parametrize("name", TRAINER)
def test_a_configuration_cannot(name, verb, folder, monkeypatch, capsys, main):
    monkeypatch.chdir(folder)
    path = folder / "logs/stranger/version_0/config.yaml"
    config = yaml.safe_load(path.read_text())
    text = json.dumps(TRAINER[name]).replace("{folder}", str(folder))
    config["trainer"] |= json.loads(text)
    path.write_text(yaml.safe_dump(config))
    mine = folder / "logs" / "mine" / "version_0" / "checkpoints"
    mine.mkdir(parents=True)
    (mine / "best.ckpt").write_bytes(b"precious")
    words = ["fit", "--config", str(path)] if verb == "fit" else ["test", "stranger"]
    assert main(words) in (1, 2)
    captured = capsys.readouterr()
    assert len(captured.err.splitlines()) == 1, captured.err
    assert (mine / "best.ckpt").read_bytes() == b"precious"
    assert not (folder / "exploded").exists()


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [x, x, x, x, x, x, x, x, x]\n"
        + "".join(
            f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n"
            for a, b in zip("abcdefg", "bcdefgh", strict=True)
        ),
        "model: &m {class_path: VAE, init_args: *m}",
        *("seed_everything: 2026-13-45", "seed_everything: 2026-11-27"),
        *("seed_everything: !!int x", "seed_everything: !!float x"),
        f"seed_everything: {'9' * 5000}",
        "model: " + "[" * 3000 + "]" * 3000,
        "model: !!python/object/apply:os.system [touch exploded]",
        *("? {a: b}\n: c", "model: !!set {VAE}", "model: !!binary aGVsbG8=", "<<: 3"),
    ],
    ids=range(13),
)
def test_odd_yaml_is_one_line(text, command, in_tmp):
    (in_tmp / "odd.yaml").write_text(text)
    command("fit", "--config", "odd.yaml").refused("odd.yaml")
    assert not (in_tmp / "exploded").exists()


def test_the_commit_is_read_without_running_git(folder):
    from lightning_gen.training.environment import git_commit

    branch = folder / ".git" / "refs" / "heads"
    branch.mkdir(parents=True)
    (branch / "main").write_text("0123456789" * 4 + "\n")
    assert git_commit(folder / "logs") == "0123456789" * 4
    assert not (folder / "exploded").exists()
