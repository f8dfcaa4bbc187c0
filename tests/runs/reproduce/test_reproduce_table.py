"""The table of published results: what it says, and what can be wrong in it."""

import math
import os

import pytest
import yaml

from lightning_gen.errors import UserError
from lightning_gen.runs.reproduce.table import find, read_table
from lightning_gen.runs.reproduce.target import Score
from support.command import CONF

SCORE = {"metrics": "psnr", "published": 20, "better": "higher"}
ROW = {
    "source": "A & B 2020, table 1",
    "setting": "all of it",
    "tier": "minutes on a CPU",
    "needs": "nothing",
    "config": "tiny.yaml",
    "scores": [SCORE],
}


def write_table(folder, **changes):
    """Write a table with one target, of which some keys are changed or, where None, left out."""
    (folder / "tiny.yaml").touch()
    row = {key: value for key, value in (ROW | changes).items() if value is not None}
    path = folder / "table.yaml"
    path.write_text(yaml.safe_dump({"tiny": row}))
    return path


def read(folder, **changes):
    return read_table(write_table(folder, **changes))["tiny"]


def mistake(path):
    """What is said of the table."""
    with pytest.raises(UserError) as caught:
        read_table(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_shipped_table_is_whole(monkeypatch):
    monkeypatch.chdir(CONF.parent)
    table = read_table(CONF / "reproduce.yaml")
    assert table
    for name, target in table.items():
        assert target.name == name
        assert target.config.is_file(), name
        assert target.config.samefile(CONF / "experiment" / target.config.name), name
        assert target.source, name
        assert target.setting, name
        assert target.here, name
        assert target.needs, name
        assert target.scores, name
        assert target.runs, name
        for score in target.scores:
            assert score.metrics, name
            assert score.published[0] <= score.published[1], name
            assert score.tolerance >= 0, name


def test_a_target(tmp_path):
    target = read(tmp_path)
    assert (target.name, target.source, target.here) == ("tiny", "A & B 2020, table 1", "the same")
    assert target.runs == ({},)
    assert target.scores == (Score(("psnr",), (20.0, 20.0), 0.0, "higher", ""),)


def test_the_config_stands_beside_the_table(tmp_path, monkeypatch):
    path = write_table(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert os.fspath(read_table(path)["tiny"].config) == "tiny.yaml"
    (tmp_path / "inner").mkdir()
    monkeypatch.chdir(tmp_path / "inner")
    assert os.fspath(read_table(path)["tiny"].config) == os.path.join("..", "tiny.yaml")


@pytest.mark.parametrize(
    ("changes", "bound"),
    [
        ({"better": "higher"}, 20.0),
        ({"better": "lower"}, 22.0),
        ({"better": "higher", "tolerance": 0.5}, 19.5),
        ({"better": "lower", "tolerance": 0.5}, 22.5),
    ],
)
def test_a_range_asks_for_its_worse_end(changes, bound, tmp_path):
    (score,) = read(tmp_path, scores=[SCORE | {"published": [20, 22]} | changes]).scores
    assert score.published == (20.0, 22.0)
    assert score.bound == bound
    assert score.reached(bound)
    assert score.reached(bound + 0.01) is (score.better == "higher")
    assert score.reached(bound - 0.01) is (score.better == "lower")


def test_several_scores_of_several_metrics(tmp_path):
    scores = [SCORE | {"metrics": ["psnr", "ssim"], "unit": "dB"}, SCORE]
    first, second = read(tmp_path, scores=scores).scores
    assert (first.metrics, first.name, first.unit) == (("psnr", "ssim"), "psnr or ssim", "dB")
    assert second.metrics == ("psnr",)


def test_runs_are_all_combinations(tmp_path):
    lists = {"seed_everything": [0, 1], "data.train_classes": [["0"], ["1"], ["2"]]}
    runs = read(tmp_path, runs=lists).runs
    assert len(runs) == 6
    for seed in (0, 1):
        for digit in "012":
            assert {"seed_everything": seed, "data.train_classes": [digit]} in runs


@pytest.mark.parametrize("key", ["source", "setting", "tier", "needs", "config", "scores"])
def test_a_missing_key_is_named(key, tmp_path):
    path = write_table(tmp_path, **{key: None})
    assert mistake(path) == f"{path}: tiny: {key} is missing."


@pytest.mark.parametrize("key", ["metrics", "published", "better"])
def test_a_missing_key_of_a_score_is_named(key, tmp_path):
    score = {name: value for name, value in SCORE.items() if name != key}
    path = write_table(tmp_path, scores=[score])
    assert mistake(path) == f"{path}: tiny: {key} is missing."


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"sorce": "x"}, "sorce is no key. Choose among config, here, needs, runs, scores, "),
        ({"scores": [SCORE | {"beter": "x"}]}, "beter is no key. Choose among better, metrics, "),
        ({"config": "none.yaml"}, "there is no config "),
        ({"tier": "a week"}, "tier is one of minutes on a CPU, an hour on a CPU, "),
        ({"scores": [SCORE | {"better": "bigger"}]}, "better is lower or higher, got 'bigger'."),
        ({"runs": {"seed_everything": 3}}, "runs lists the values of each option, got {'seed_"),
        ({"runs": [0, 1]}, "runs lists the values of each option, got [0, 1]."),
        ({"scores": ["psnr"]}, "expected the keys better, metrics, published, "),
        ({"scores": []}, "scores lists one score or more, got []."),
        ({"scores": 3}, "scores lists one score or more, got 3."),
        ({"config": 3}, "config is a text, got 3."),
        ({"scores": [SCORE | {"published": [1, 2, 3]}]}, "published is a number, or the least "),
        ({"scores": [SCORE | {"published": [3, 1]}]}, "published is a number, or the least "),
        ({"scores": [SCORE | {"published": "abc"}]}, "published is a finite number, got 'abc'."),
        ({"scores": [SCORE | {"published": math.nan}]}, "published is a finite number, got nan."),
        ({"scores": [SCORE | {"tolerance": "x"}]}, "tolerance is a finite number, got 'x'."),
        ({"scores": [SCORE | {"tolerance": -1}]}, "tolerance is at least 0, got -1.0."),
        ({"scores": [SCORE | {"metrics": []}]}, "metrics names one score or more, got []."),
        ({"runs": {"seed_everything": []}}, "runs lists the values of each option, got {'seed_"),
    ],
)
def test_a_mistake_is_one_line_that_names_the_target(changes, said, tmp_path):
    path = write_table(tmp_path, **changes)
    assert mistake(path).startswith(f"{path}: tiny: {said}")


def test_a_target_that_is_no_mapping_is_named(tmp_path):
    path = tmp_path / "table.yaml"
    path.write_text("tiny: 3\n")
    assert mistake(path).startswith(f"{path}: tiny: expected the keys config, here, ")


@pytest.mark.parametrize("text", ["", "# nothing\n", "- tiny\n", "tiny\n", "{}\n"])
def test_a_file_without_targets(text, tmp_path):
    path = tmp_path / "table.yaml"
    path.write_text(text)
    assert mistake(path).startswith(f"{path} holds no target")


@pytest.mark.parametrize("content", [b"tiny: [1,\nb: }", b"\xff\xfe\x00", None])
def test_a_file_that_cannot_be_read(content, tmp_path):
    path = tmp_path / "table.yaml"
    if content is not None:
        path.write_bytes(content)
    said = mistake(path)
    assert said.startswith("the table of published results cannot be read: ")
    assert said.endswith("or pass --table.")


def test_a_name_that_is_nearly_right(tmp_path):
    table = read_table(write_table(tmp_path))
    assert find(table, "tiny") is table["tiny"]
    with pytest.raises(UserError, match=r"\Athere is no target tinny\. Did you mean tiny\?\Z"):
        find(table, "tinny")
    with pytest.raises(UserError, match=r"no target mnist\. Choose among tiny\.\Z"):
        find(table, "mnist")
