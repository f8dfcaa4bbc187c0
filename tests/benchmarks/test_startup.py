"""How long one waits before anything is trained."""

import json

import pytest
import torch

from support.benchmarks import BENCHMARKS, assert_describes_the_machine, assert_spread, run


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


def test_the_clock_of_a_step_is_written_whole_and_ends_the_process(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    import timed_adam

    codes = []
    monkeypatch.setattr(timed_adam.os, "_exit", codes.append)
    monkeypatch.setenv(timed_adam.VARIABLE, str(tmp_path / "steps"))
    monkeypatch.setenv(timed_adam.LAST, "2")
    monkeypatch.setenv("LOCAL_RANK", "1")
    parameter = torch.nn.Parameter(torch.ones(()))
    optimizer = timed_adam.TimedAdam([parameter], lr=0.1)
    for _ in range(2):
        parameter.square().backward()
        assert codes == []
        optimizer.step()
    assert codes == [0]
    assert parameter.item() == pytest.approx(0.8, abs=0.01)
    assert [file.name for file in tmp_path.iterdir()] == ["steps.1"]
    (tmp_path / "steps.0").write_text(json.dumps([1.0, 2.0]))
    first, second = timed_adam.read_steps(tmp_path / "steps", processes=2)
    assert first == [1.0, 2.0]
    assert second == sorted(second)
    with pytest.raises(SystemExit, match="3 processes were to write"):
        timed_adam.read_steps(tmp_path / "steps", processes=3, patience=0)
