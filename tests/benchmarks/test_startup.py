"""How long one waits before anything is trained."""

import pytest

from support.benchmarks import assert_describes_the_machine, assert_spread, run


@pytest.mark.slow
def test_startup(tmp_path):
    results = run("startup.py", tmp_path, "--repeats", "1")
    assert_describes_the_machine(results)
    waits = results["waits"]
    assert set(waits) == {
        *("python", "import torch", "import torch, lightning.pytorch"),
        *("--help", "first training step"),
    }
    for wait in waits.values():
        assert_spread(wait["seconds"])
        assert_spread(wait["over_imports"])
    assert waits["--help"]["target"] == 2
    assert waits["first training step"]["target"] == 12
    seconds = {name: wait["seconds"]["median"] for name, wait in waits.items()}
    assert seconds["python"] < seconds["import torch"] < seconds["first training step"]
