"""The table of published results: what it says, and what can be wrong in it."""

import math
import os

import pytest
import yaml

from lightning_gen.errors import UserError
from lightning_gen.runs.reproduce.table import TargetScore, read_targets

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
    return read_targets(write_table(folder, **changes))["tiny"]


def mistake(path):
    """What is said of the table."""
    with pytest.raises(UserError) as caught:
        read_targets(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_target(tmp_path):
    target = read(tmp_path)
    assert (target.name, target.source, target.here) == ("tiny", "A & B 2020, table 1", "the same")
    assert target.combinations == [{}]
    assert target.scores == [TargetScore("psnr", 20.0, "higher")]
    (score,) = read(tmp_path, scores=[SCORE | {"metrics": ["psnr", "ssim"], "unit": "dB"}]).scores
    assert (score.names, score.unit) == (["psnr", "ssim"], "dB")


def test_the_config_stands_beside_the_table(tmp_path, monkeypatch):
    path = write_table(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert read_targets(path)["tiny"].config == "tiny.yaml"
    (tmp_path / "inner").mkdir()
    monkeypatch.chdir(tmp_path / "inner")
    assert read_targets(path)["tiny"].config == os.path.join("..", "tiny.yaml")


def test_runs_are_all_combinations(tmp_path):
    lists = {"seed_everything": [0, 1], "data.train_classes": [["0"], ["1"], ["2"]]}
    runs = read(tmp_path, runs=lists).combinations
    assert len(runs) == 6
    for seed in (0, 1):
        for digit in "012":
            assert {"seed_everything": seed, "data.train_classes": [digit]} in runs


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"source": None}, "the following arguments are required: source"),
        ({"sorce": "x"}, "sorce"),
        ({"tier": "a week"}, "\"tier\": Expected a typing.Literal['minutes on a CPU', "),
        ({"config": "none.yaml"}, "there is no config "),
        ({"runs": {"seed_everything": []}}, "runs lists the values"),
        ({"scores": []}, "scores a list among them"),
        ({"scores": ["psnr"]}, "expected keys and values, got 'psnr'"),
        ({"scores": [{"metrics": "psnr", "better": "lower"}]}, "required: published"),
        ({"scores": [SCORE | {"published": [1, 2, 3]}]}, '"published": '),
        ({"scores": [SCORE | {"published": [3, 1]}]}, "published is a number, or the least "),
        ({"scores": [SCORE | {"published": math.nan}]}, "published is a number, or the least"),
        ({"scores": [SCORE | {"metrics": []}]}, "metrics=[]"),
        ({"scores": [{"class_path": "subprocess.Popen"}]}, "'class_path' is not accepted"),
    ],
)
def test_a_mistake_is_one_line_that_names_the_target(changes, said, tmp_path):
    path = write_table(tmp_path, **changes)
    assert mistake(path).startswith(f"{path}: tiny: ")
    assert said in mistake(path)


def test_a_file_without_targets(tmp_path):
    path = tmp_path / "table.yaml"
    said = mistake(path)
    assert said.startswith("the table of published results cannot be read: ")
    assert said.endswith("or pass --table.")
    for text in ("", "# nothing\n", "- tiny\n", "tiny\n", "{}\n"):
        path.write_text(text)
        assert mistake(path).startswith(f"{path} holds no target")
