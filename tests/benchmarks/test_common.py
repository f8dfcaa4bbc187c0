"""What the benchmarks' numbers go through, by values computed by hand."""

import common
import pytest


def test_spread_is_median_and_range():
    assert common.spread([3.0, 1.0, 2.0]) == {"median": 2, "min": 1, "max": 3}
    assert common.spread(iter([4.0, 1.0, 2.0, 10.0])) == {"median": 3, "min": 1, "max": 10}


def test_quotients_are_of_pairs():
    assert common.quotients([6, 8], [3, 2]) == [2, 4]
    with pytest.raises(ValueError, match="zip"):
        common.quotients([1, 2], [1])


def test_tasks_alternate_and_none_is_always_first(capsys):
    seen = []
    tasks = {name: lambda name=name: seen.append(name) or name.upper() for name in "abc"}
    assert common.alternate(tasks, 4) == {name: [name.upper()] * 4 for name in "abc"}
    assert "".join(seen) == "abc" + "bca" + "cab" + "abc"
    assert "... a, 4 of 4" in capsys.readouterr().out


def test_a_process_that_fails_ends_the_benchmark_with_its_output():
    with pytest.raises(SystemExit, match="out of luck"):
        common.run_python(["-c", "raise SystemExit('out of luck')"])
