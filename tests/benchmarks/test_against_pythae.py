"""Epochs beside pythae's, where it is installed."""

import pytest

from support.benchmarks import assert_positive, assert_spread, run


@pytest.mark.slow
def test_vaes(tmp_path):
    pytest.importorskip("pythae")
    words = ("--batches", "3", "--conv-batches", "2", "--repeats", "2")
    results = run("against_pythae.py", tmp_path, *words)
    assert set(results["fits"]) == {"dense", "conv"}
    for found in results["fits"].values():
        assert_positive(found)
        assert_spread(found["over_pythae"])
