"""How long one waits for a quality."""

import pytest

from support.benchmarks import BENCHMARKS, assert_describes_the_machine, assert_spread, run


@pytest.mark.slow
def test_time_to_quality(tmp_path):
    words = ("--repeats", "1", "--batches", "2", "--accelerator", "cpu")
    results = run("time_to_quality.py", tmp_path, *words)
    assert_describes_the_machine(results)
    for name in ("shipped", "plain"):
        assert_spread(results[name]["seconds"])
        assert results[name]["whole"]["min"] > results[name]["seconds"]["min"]
        assert 240 < results[name]["nats"] < 600  # after two batches an epoch
    assert_spread(results["plain_over_shipped"])


def test_a_ratio_is_to_the_runs_before_and_after(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    from time_to_quality import Run, summarise

    runs = {
        "shipped": [Run(10, 239, 11), Run(30, 241, 31), *[Run(10, 240, 11)] * 2],
        "plain": [Run(100, 243, 101), Run(200, 243, 201)],
    }
    results = summarise(runs)
    assert results["plain_over_shipped"] == {"median": 12.5, "min": 5, "max": 20}
    assert results["shipped"]["seconds"] == {"median": 10, "min": 10, "max": 30}
    assert results["shipped"]["whole"] == {"median": 11, "min": 11, "max": 31}
    assert results["shipped"]["nats"] == 240
