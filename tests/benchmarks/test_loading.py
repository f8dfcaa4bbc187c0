"""How fast images are loaded, with and without the cache."""

import pytest

from support.benchmarks import assert_describes_the_machine, assert_positive, run


@pytest.mark.slow
def test_loading(tmp_path):
    sizes = ["--images", "60", "--repeats", "2", "--workers", "1"]
    results = run("loading.py", tmp_path, *sizes)
    assert_describes_the_machine(results)
    assert results["settings"]["images"] == 60
    assert set(results["epochs"]) == {
        "cache",
        "cache, next run",
        "cache, too large for memory",
        "no cache, workers",
        "torchvision, DataLoader",
    }
    assert_positive(results["epochs"])
