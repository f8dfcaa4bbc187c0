"""What each thing that makes a step cheaper gives."""

import pytest

from support.benchmarks import assert_describes_the_machine, assert_spread, run


@pytest.mark.slow
def test_gains(tmp_path):
    sizes = ("--batches", "2", "--conv-batches", "2", "--epochs", "1", "--repeats", "1")
    results = run("gains.py", tmp_path, *sizes, "--skip-compiled")
    assert_describes_the_machine(results)
    assert set(results["variants"]) == {"conv", "dense"}
    for variants in results["variants"].values():
        assert len(variants) == 10
        assert variants["as it comes"]["over_fit"] == {"median": 1, "min": 1, "max": 1}
        for found in variants.values():
            assert_spread(found["over_fit"])
            assert found["images_per_second"] > 0
