"""Benchmarks, run at tiny sizes."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def run(script, tmp_path, *words):
    """What the benchmark writes."""
    file = tmp_path / "results.json"
    command = [sys.executable, BENCHMARKS / script, "--json", file, *map(str, words)]
    environment = os.environ | {"PYTHONSAFEPATH": ""}  # which a command run in this process sets
    subprocess.run(command, cwd=tmp_path, check=True, env=environment)
    return json.loads(file.read_text())


def numbers(value):
    """All numbers of nested dictionaries."""
    if isinstance(value, dict):
        return [number for item in value.values() for number in numbers(item)]
    return [] if value is None else [value]


def assert_positive(value):
    found = numbers(value)
    assert found
    assert all(math.isfinite(number) and number > 0 for number in found)


def assert_spread(value):
    """A median within its range, above zero."""
    assert set(value) == {"median", "min", "max"}
    assert 0 < value["min"] <= value["median"] <= value["max"]


def assert_describes_the_machine(results):
    assert set(results["machine"]) - {"gpu"} == {"date", "device", "threads", "torch"}
    assert results["machine"]["threads"] == 1
