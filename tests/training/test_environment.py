import json
import re
import subprocess
import sys
from itertools import product

import pytest
import torch

from lightning_gen.training.environment import describe_environment, git_commit


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A git repository with one commit of one file; runs git there."""
    for who, what in product(("AUTHOR", "COMMITTER"), ("NAME", "EMAIL")):
        monkeypatch.setenv(f"GIT_{who}_{what}", "test@example.org")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.chdir(tmp_path)

    def git(*words):
        command = ["git", "-c", "core.hooksPath=/dev/null", *words]
        done = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    git("init")
    (tmp_path / "file").write_text("one")
    git("add", "file")
    git("commit", "-m", "one")
    return git


def test_what_is_noted(repository):
    noted = describe_environment(3, ["cpu", "cpu"], 2)
    assert json.loads(json.dumps(noted)) == noted
    assert (noted["seed"], noted["devices"], noted["world_size"]) == (3, ["cpu", "cpu"], 2)
    assert noted["git_commit"] == repository("rev-parse", "HEAD")
    assert noted["command"] == sys.argv
    assert noted["python"] == ".".join(map(str, sys.version_info[:3]))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", noted["started"])
    assert {"lightning-gen", "torch", "lightning", "numpy"} <= noted["packages"].keys()
    assert torch.__version__.startswith(noted["packages"]["torch"])
    assert noted["cpu_threads"] == torch.get_num_threads()


def test_the_commit_of_a_branch_and_of_none(repository, tmp_path):
    (tmp_path / "file").write_text("two")
    repository("commit", "-am", "two")
    commit = repository("rev-parse", "HEAD")
    (tmp_path / "inside").mkdir()
    assert git_commit(tmp_path / "inside") == commit
    repository("pack-refs", "--all")
    assert git_commit(tmp_path) == commit
    repository("worktree", "add", "-b", "other", str(tmp_path / "tree"), "HEAD~1")
    assert git_commit(tmp_path / "tree") == repository("rev-parse", "HEAD~1")
    repository("checkout", "--detach", "HEAD~1")
    assert git_commit(tmp_path) == repository("rev-parse", "HEAD")
    (tmp_path / ".git").rename(tmp_path / "git")
    assert git_commit(tmp_path) is git_commit(tmp_path / "nowhere") is None
