"""What callbacks and metrics cost."""

import math

import pytest

from support.benchmarks import (
    BENCHMARKS,
    assert_describes_the_machine,
    assert_spread,
    numbers,
    run,
)


@pytest.mark.slow
def test_cost(tmp_path):
    sizes = ("--epochs", "1", "--batches", "2", "--images", "200", "--repeats", "1")
    results = run("cost.py", tmp_path, *sizes)
    assert_describes_the_machine(results)
    costs = results["costs"]
    assert {"nothing", "defaults", "progress bar", "Samples", "LossCurves", "test"} <= set(costs)
    assert {name for name in costs if name.startswith("test,")} == {
        *("test, ReconstructionQuality", "test, AggregatePosterior", "test, SampleQuality"),
    }
    for cost in costs.values():
        assert_spread(cost["run_seconds"])
    assert all(math.isfinite(number) for number in numbers(costs))
    assert_spread(costs["nothing"]["training_seconds_of_whole_epochs"])


def test_a_cost_is_what_a_run_takes_more_than_its_rival_of_the_same_round(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    from cost import Run, Sizes, costs

    measured = {
        "nothing": [Run(10, 7, 0.1, 50), Run(20, 8, 0.2, 50), Run(30, 9, 0.4, 50)],
        "Samples": [Run(11, 10, 0, 50), Run(22, 10, 0, 50), Run(31, 10, 0, 50)],
        "test": [Run(3, 1, 0, 50), Run(4, 1, 0, 50), Run(5, 1, 0, 50)],
        "test, It": [Run(4, 1, 0, 50), Run(5, 1, 0, 50), Run(7, 1, 0, 50)],
    }
    found = costs(measured, Sizes(epochs=2, batches=5, images=10))
    training = found["nothing"]["training_seconds_of_whole_epochs"]
    assert training == {"median": 20, "min": 10, "max": 40}
    assert found["Samples"]["added_seconds"] == {"median": 1, "min": 1, "max": 2}
    assert found["Samples"]["added_cpu_seconds"] == {"median": 2, "min": 1, "max": 3}
    assert found["Samples"]["share_of_training"] == {"median": 0.1, "min": 0.025, "max": 0.1}
    assert found["test, It"]["added_seconds"] == {"median": 1, "min": 1, "max": 2}
    assert found["test"] == {"run_seconds": {"median": 4, "min": 3, "max": 5}}
