"""The rows of the table of results."""

from pathlib import Path

import pytest

from lightning_gen.runs.environment import describe_environment
from lightning_gen.runs.reproduce.measured import Measured
from lightning_gen.runs.reproduce.rows import HEADER, row
from lightning_gen.runs.reproduce.target import Score, Target
from lightning_gen.runs.reproduce.training import Finished

CPU = {
    "started": "2026-01-31T23:50:00+00:00",
    "git_commit": "0123456789abcdef",
    "processor": "Acme 3000",
    "devices": ["cpu"],
    "cpu_threads": 4,
}
GPU = CPU | {"devices": ["NVIDIA H200", "NVIDIA H200"], "git_commit": None}
GOOD = Measured("psnr", 21.0, 0.25, reached=True)


def cells(environment=CPU, runs=1, measured=GOOD, **changes):
    """The cells of a row; each run takes from its start to the later of its two cards."""
    fields = {"metrics": ("psnr", "ssim"), "published": (20.0, 20.0), "tolerance": 0.5}
    score = Score(**(fields | {"better": "higher", "unit": "dB"} | changes))
    target = Target("tiny", "", "", "", "", "", Path("x.yaml"), (score,))
    dates = ("2026-02-01T00:20:00+00:00", "2026-02-01T00:05:00+00:00")
    cards = {name: {"date": date} for name, date in zip(score.metrics, dates, strict=True)}
    line = row(target, score, measured, [Finished(cards, environment)] * runs)
    assert line.startswith("| ")
    assert line.endswith(" |")
    assert "\n" not in line
    return line[2:-2].split(" | ")


def test_the_environments_of_this_file_are_those_of_a_run():
    assert CPU.keys() <= describe_environment(0, ["cpu"], 1).keys()


def test_a_row_has_a_cell_for_each_column():
    assert len(cells()) == HEADER.splitlines()[0].count("|") - 1
    assert len(cells()) == HEADER.splitlines()[1].count("|") - 1


def test_a_row_of_a_cpu():
    assert cells() == [
        *("tiny", "psnr", "20.00", "21.00 ± 0.25 dB", "reached (19.50 asked)", "1"),
        *("Acme 3000, 4 threads", "30 min", "2026-01-31", "012345678"),
    ]


def test_a_row_of_one_thread():
    assert cells(CPU | {"cpu_threads": 1})[6] == "Acme 3000, 1 thread"


def test_a_row_of_gpus_outside_of_a_repository():
    assert cells(GPU, runs=3)[5:] == [
        *("3", "2 x NVIDIA H200", "90 min", "2026-01-31", "unknown"),
    ]


@pytest.mark.parametrize(
    ("better", "verdict"), [("higher", "missed (19.50 asked)"), ("lower", "missed (22.50 asked)")]
)
def test_a_row_of_a_missed_range(better, verdict):
    missed = Measured("psnr", 3.0, float("nan"), reached=False)
    found = cells(measured=missed, published=(20.0, 22.0), better=better, unit="")
    assert found[2:5] == ["20.00 to 22.00", "3.00", verdict]
