import os

import pytest

from lightning_gen.errors import UserError
from lightning_gen.training.directory import RunDirectory
from support.refusals import assert_refused


def make(root, *versions, name="run"):
    for version in versions:
        (root / name / f"version_{version}").mkdir(parents=True)


def checkpoint(run, name, age):
    run.checkpoints.mkdir(exist_ok=True)
    path = run.checkpoints / name
    path.write_text("")
    os.utime(path, (1_000_000 - age, 1_000_000 - age))
    return path


def test_versions_are_numbers(tmp_path):
    make(tmp_path, 9, 10, 2)
    make(tmp_path, "x", "1.5", "")
    (tmp_path / "run" / "notes.txt").write_text("")
    assert [run.version for run in RunDirectory.all_of(tmp_path, "run")] == [2, 9, 10]
    assert RunDirectory.claim(tmp_path, "run").version == 11
    assert RunDirectory.all_of(tmp_path, "other") == []
    for name in ("a", "a.b-c_d", "my run", "größe"):
        run = RunDirectory.claim(tmp_path / "new" / "logs", name)
        assert run.path == tmp_path / "new" / "logs" / name / "version_0"
        assert run.path.is_dir()


def test_a_claim_is_not_given_twice(tmp_path, monkeypatch):
    monkeypatch.setattr(RunDirectory, "all_of", classmethod(lambda *_: []))  # nobody looks
    assert [RunDirectory.claim(tmp_path, "run").version for _ in range(3)] == [0, 1, 2]


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../a", "a\nb", "a:b"])
def test_names_that_are_no_folder(name, tmp_path):
    assert_refused("name is used as a folder name", RunDirectory.claim, tmp_path, name)
    assert list(tmp_path.iterdir()) == []


def test_of(tmp_path):
    make(tmp_path, 0)
    run = RunDirectory(tmp_path / "run" / "version_0")
    path = checkpoint(run, "best.ckpt", 0)
    nothing = [tmp_path, tmp_path / "nowhere", path.with_name("gone.ckpt")]
    for place in (run.path, path, *nothing):
        assert_refused("expected a run directory", RunDirectory.of, place)
    (run.path / "config.yaml").write_text("")
    assert RunDirectory.of(run.path) == RunDirectory.of(path) == run
    for place in nothing:
        assert_refused("expected a run directory", RunDirectory.of, place)


def test_best(tmp_path):
    make(tmp_path, 0)
    run = RunDirectory(tmp_path / "run" / "version_0")
    with pytest.raises(UserError, match="holds no checkpoint"):
        _ = run.best
    for name, age in (("epoch=1.ckpt", 2), ("epoch=0.ckpt", 1), ("last.ckpt", 4), ("best.ckpt", 5)):
        path = checkpoint(run, name, age)
        assert run.best == path, "the newest of a user's own names, then last, then best"


def test_only_empty_directories_are_discarded(tmp_path):
    first, second, third = (RunDirectory.claim(tmp_path, "run") for _ in range(3))
    (second.path / "metrics.csv").write_text("")
    for run in (first, second, third):
        run.discard_if_empty()
    assert [run.version for run in RunDirectory.all_of(tmp_path, "run")] == [1]
    alone = RunDirectory.claim(tmp_path, "alone")
    alone.discard_if_empty()
    alone.discard_if_empty()
    assert not alone.path.parent.exists()
