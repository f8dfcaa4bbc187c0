"""The rows that are written, and the file that keeps them."""

from pathlib import Path

import pytest

from lightning_gen.errors import UserError
from lightning_gen.runs.environment import describe_environment
from lightning_gen.runs.reproduce.measured import Measured
from lightning_gen.runs.reproduce.results_file import HEADER, MARK, append, row
from lightning_gen.runs.reproduce.target import Score, Target
from lightning_gen.runs.reproduce.training import Finished

ROWS = ["| a | 1 |", "| b | 2 |"]
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
    assert found[2:5] == ["20.00 to 22.00", "3", verdict]


def test_a_new_file(tmp_path):
    path = tmp_path / "docs" / "results.md"
    append(path, ROWS)
    assert path.read_text() == f"# Results\n\n{MARK}\n\n{HEADER}{ROWS[0]}\n{ROWS[1]}\n"


@pytest.mark.parametrize("end", ["", "\n", "\n\n\n"])
def test_what_was_written_by_hand_stays(end, tmp_path):
    path = tmp_path / "results.md"
    own = f"# Mine \n\n  ± text\t\n\n\n| own | table |\n|---|---|\n\n{MARK}".encode()
    path.write_bytes(own + end.encode())
    append(path, ROWS)
    assert path.read_bytes() == own + f"\n\n{HEADER}{ROWS[0]}\n{ROWS[1]}\n".encode()


def test_the_head_is_written_once(tmp_path):
    path = tmp_path / "results.md"
    append(path, ROWS)
    first = path.read_text()
    append(path, ["| c | 3 |"])
    assert path.read_text() == first + "| c | 3 |\n"


def test_a_last_line_without_an_end_is_kept_apart(tmp_path):
    path = tmp_path / "results.md"
    append(path, ROWS)
    path.write_text(path.read_text().rstrip("\n"))
    append(path, ["| c | 3 |"])
    assert path.read_text().splitlines()[-3:] == [*ROWS, "| c | 3 |"]


@pytest.mark.parametrize("text", ["", "# Notes of mine\n", HEADER])
def test_a_file_of_another_kind_is_left_alone(text, tmp_path):
    path = tmp_path / "notes.md"
    path.write_text(text)
    with pytest.raises(UserError, match=r"notes\.md lacks the line .*Pass another --out\."):
        append(path, ROWS)
    assert path.read_text() == text
    assert list(tmp_path.iterdir()) == [path]
