import csv

import pytest
import torch

from lightning_gen.training.directory import RunDirectory
from lightning_gen.training.metrics_file import MetricsFile, RunLogger, read_rows


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run" / "version_0" / "metrics.csv"


def table(path):
    with path.open(newline="") as file:
        return list(csv.reader(file))


def test_one_row_a_step_and_one_column_a_metric(path):
    file = MetricsFile(path)
    file.log({"train/loss": 2.0, "epoch": 0}, 0)
    file.log({"train/loss": torch.tensor(1.5), "epoch": 0}, 1)
    file.log({"val/loss": 3}, 1)
    file.save()
    assert table(path) == [
        ["epoch", "step", "train/loss", "val/loss"],
        ["0", "0", "2.0", ""],
        ["0", "1", "1.5", "3"],
    ]


def test_a_saved_row_is_completed_and_new_columns_come_at_the_end(path):
    file = MetricsFile(path)
    for step, metrics in [(5, {"b": 1}), (5, {"a": 2}), (6, {"c": 3})]:
        file.log(metrics, step)
        file.save()
    assert table(path) == [
        ["epoch", "step", "b", "a", "c"],
        ["", "5", "1", "2", ""],
        ["", "6", "", "", "3"],
    ]


def test_rows_of_one_form_are_appended(path):
    file = MetricsFile(path)
    file.log({"a": 0}, 0)
    file.save()
    inode = path.stat().st_ino
    for step in range(1, 4):
        file.log({"a": step}, step)
        file.save()
    assert path.stat().st_ino == inode, "the file was written anew"
    assert [row[2] for row in table(path)] == ["a", "0", "1", "2", "3"]


def test_many_rows_are_saved_unasked(path):
    file = MetricsFile(path)
    file.save()
    for step in range(file.flush_every):
        file.log({"a": step}, step)
    assert not path.exists()
    assert read_rows(path) == []
    file.log({"a": 0}, file.flush_every)
    assert len(table(path)) == file.flush_every + 1


def test_an_existing_file_is_continued(path):
    first = MetricsFile(path)
    for step in range(4):
        first.log({"a": step, "name": "x,\n'\""}, step)
    first.save()
    second = MetricsFile(path)
    second.log({"b": 9}, 3)
    second.log({"a": 4}, 4)
    second.save()
    assert [row["step"] for row in read_rows(path)] == [0, 1, 2, 3, 4]
    assert [row["a"] for row in read_rows(path)] == ["0", "1", "2", "3", "4"]
    assert [row["b"] for row in read_rows(path)] == ["", "", "", "9", ""]
    assert read_rows(path)[0]["name"] == "x,\n'\""


@pytest.mark.parametrize(("step", "kept"), [(0, []), (2, [0, 1]), (3, [0, 1, 2]), (9, [0, 1, 2])])
def test_forget_from(step, kept, path):
    first = MetricsFile(path)
    for number in range(3):
        first.log({"a": number}, number)
    first.save()
    second = MetricsFile(path)
    second.forget_from(step)
    assert [row["step"] for row in read_rows(path)] == kept
    second.log({"a": 7}, step)
    second.save()
    assert [row["step"] for row in read_rows(path)] == [*kept, step]


@pytest.mark.parametrize(
    ("step", "rows"), [(1, [["", "0", "1", ""], ["", "1", "", "2"]]), (0, [["", "0", "1", "2"]])]
)
def test_a_crash_while_rewriting_leaves_the_old_file_and_loses_nothing(
    step, rows, path, monkeypatch
):
    """A new column, or values of a row that has been saved."""
    file = MetricsFile(path)
    file.log({"a": 1}, 0)
    file.save()
    before = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.replace", lambda *_: 1 / 0)
        file.log({"b": 2}, step)
        with pytest.raises(ZeroDivisionError):
            file.save()
    assert path.read_bytes() == before
    file.save()
    assert table(path) == [["epoch", "step", "a", "b"], *rows]


def test_logger(path):
    logger = RunLogger(RunDirectory(path.parent))
    assert (logger.name, logger.version) == ("run", "version_0")
    assert logger.log_dir == str(path.parent)
    logger.log_hyperparams({"a": 1})
    logger.log_metrics({"a": 1.0}, 3)
    logger.log_metrics({"b": 2.0})
    assert not path.exists()
    logger.finalize("success")
    assert [row["step"] for row in read_rows(path)] == [3, 0]
    assert logger.experiment is logger.file
    assert [file.name for file in path.parent.iterdir()] == ["metrics.csv"]
