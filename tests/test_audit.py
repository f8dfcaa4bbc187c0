"""What Python's audit events tell of everything that a stranger's files can name (PEP 578)."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
pytestmark = pytest.mark.slow


@pytest.fixture
def folder(tmp_path, finished):
    """A folder with a stranger's run beside one's own, and a module that leaves a mark."""
    for name in ("stranger", "own"):
        shutil.copytree(finished, tmp_path / "logs" / name / "version_0")
    mark = f"open({str(tmp_path / 'exploded')!r}, 'w')"
    evil = tmp_path / "logs" / "stranger" / "version_0" / "evil.py"
    evil.write_text(f"{mark}\ndef f(*arguments, **options):\n    {mark}\n")
    (tmp_path / "json.py").write_text(mark)
    (tmp_path / "codes.csv").write_text("z0,z1\n0,0\n1,1\n")
    return tmp_path


def audited(what, folder):
    """What ``support.audit`` prints, after it was seen that nothing of the stranger's was run."""
    places = os.pathsep.join(map(str, (PROJECT, PROJECT / "tests")))
    options = ("-X", "faulthandler", "-P", "-W", "ignore", "-m", "support.audit")
    done = subprocess.run(
        [sys.executable, *options, what, str(folder)],
        env=os.environ | {"PYTHONPATH": places, "PYTHONSAFEPATH": "1"},
        stdout=subprocess.PIPE,
        text=True,
        timeout=1500,
        check=True,
    )
    result = json.loads(done.stdout.splitlines()[-1])
    print(result)
    assert not (folder / "exploded").exists()
    assert result["found"] == []
    assert result["elsewhere"] == []
    return result


def test_every_verb_is_deaf_to_every_attack(folder):
    result = audited("verbs", folder)
    assert result["failed"] == []
    assert result["attacks"] >= 20


def test_every_callable_at_every_key(folder):
    result = audited("keys", folder)
    assert result["callables"] > 1000
    assert result["keys"] > 30
    assert result["strange"] == []
