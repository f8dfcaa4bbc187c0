"""What a sweep leaves behind."""

from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from lightning_gen.runs.sweep.results import begun, best_table
from lightning_gen.runs.sweep.workers import Sweep
from support.sweeps import GRID, RANDOM, FakeFit, open_study, results_in


def run(folder, fit, content=GRID):
    """Run a sweep; its study."""
    study = open_study(folder, content)
    Sweep(study, fit).run(jobs=1)
    return study


@pytest.fixture(scope="module")
def grid(tmp_path_factory):
    """The folder of a sweep of six trials, of which the second fails, and its study."""
    folder = tmp_path_factory.mktemp("grid")
    return folder, run(folder, FakeFit(failing=[1]))


def test_a_row_a_trial(grid):
    folder, _ = grid
    rows = results_in(folder)
    assert list(rows[0]) == [
        *("trial", "state", "model.latent_dim", "model.optimizer.lr", "val/loss", "test/loss"),
        *("seconds", "directory", "error"),
    ]
    assert [row["trial"] for row in rows] == list("012345")
    *first, seconds, directory, error = rows[0].values()
    assert first == ["0", "complete", "2", "0.1", "2.1", "1.5"]
    assert float(seconds) >= 0
    assert (directory, error) == (str(folder / "trial_0000_latent_dim=2_lr=0.1"), "")
    assert (rows[1]["state"], rows[1]["val/loss"]) == ("failed", "")
    assert rows[1]["error"] == "ValueError: the loss is no number"
    with Image.open(folder / "results.png") as image:
        assert image.size[0] > 400
    assert not list(folder.glob(".*")), "a draft or a lock was left behind"


def test_they_stand_there_when_the_sweep_is_interrupted(tmp_path):
    run(tmp_path, FakeFit(cut_off=[1]))
    assert [row["state"] for row in results_in(tmp_path)] == ["complete", "interrupted"]
    assert (tmp_path / "results.png").is_file()


def test_ranges_and_lists_and_no_plot_without_a_finished_trial(tmp_path):
    run(tmp_path / "none", FakeFit(failing=range(6)))
    assert len(results_in(tmp_path / "none")) == 6
    assert not (tmp_path / "none" / "results.png").exists()
    run(tmp_path, FakeFit(), RANDOM)
    rows = results_in(tmp_path)
    assert {row["model.architecture.widths"] for row in rows} <= {"[8]", "[16, 8]"}
    assert all(0.001 <= float(row["model.optimizer.lr"]) <= 0.1 for row in rows)
    assert (tmp_path / "results.png").is_file()


def test_the_best_five_trials(grid):
    folder, study = grid
    first, *lines = best_table(study.sweep, begun(study)).splitlines()
    assert first.split() == ["trial", "val/loss", "latent_dim", "lr", "run"]
    assert [line.split()[1] for line in lines] == ["2.1", "4.01", "4.1", "8.01", "8.1"]
    assert lines[0].split()[2:4] == ["2", "0.1"]
    assert Path(lines[0].split()[4]) == folder / "trial_0000_latent_dim=2_lr=0.1"
    more = replace(study.sweep, direction="maximize")
    assert best_table(more, begun(study)).splitlines()[1].split()[1] == "8.1"
