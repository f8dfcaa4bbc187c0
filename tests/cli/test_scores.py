"""Evaluations from the command line: what is printed, what metrics.json and metrics.csv hold."""

import json
import shutil
import subprocess
import sys

import pytest

from lightning_gen.training.scores import with_error
from support.command import MINI_DATA, SMALL_MODEL, TWO_BATCHES, column, only_run

QUALITY = ("--trainer.callbacks", "ReconstructionQuality")
SCORED = (*SMALL_MODEL, *MINI_DATA, *TWO_BATCHES)


def cards(directory):
    return json.loads((directory / "metrics.json").read_text())


@pytest.fixture
def unscored(finished, in_tmp):
    """A run without scores, to be changed."""
    return shutil.copytree(finished, in_tmp / "logs" / "run" / "version_0")


@pytest.fixture(scope="module")
def scored(train, tmp_path_factory):
    """A run that was scored, to be read only."""
    words = ("fit", *SCORED, *QUALITY)
    return only_run(train(tmp_path_factory.mktemp("scored"), words) / "logs")


def test_a_fit_leaves_a_card_for_each_score_and_the_default_pictures(scored):
    found = cards(scored)
    assert set(found) == {"test"}
    card = found["test"]["psnr"]
    assert card["value"] == pytest.approx(next(iter(column(scored, "test/psnr").values())))
    assert card["standard_error"] > 0
    expected = {"unit": "dB", "num_images": 50, "split": "test", "seed": 0, "device": "cpu"}
    assert expected.items() <= card.items()
    assert card["checkpoint"] == "best.ckpt"
    assert (scored / "images" / "reconstructions").is_dir()


def test_test_repeats_the_scores_and_validate_adds_its_own(command, scored, in_tmp, caplog):
    directory = shutil.copytree(scored, in_tmp / "logs" / "run" / "version_0")
    before = cards(directory)["test"]
    for verb in ("test", "validate"):
        answer = command(verb, directory, *TWO_BATCHES)
        assert answer.code == 0, answer.err
    card, after = before["psnr"], cards(directory)
    assert f"psnr  {with_error(card['value'], card['standard_error'])} dB" in caplog.text
    assert {name: card["value"] for name, card in after["test"].items()} == {
        name: card["value"] for name, card in before.items()
    }
    assert set(after["val"]) == set(after["test"])


def test_a_finished_run_is_scored_by_what_it_was_not_trained_with(command, unscored):
    assert not (unscored / "metrics.json").exists()
    words = ("--trainer.callbacks", "AggregatePosterior", *TWO_BATCHES)
    command("test", unscored, *words).done()
    assert "mutual_information" in cards(unscored)["test"]


@pytest.mark.slow
def test_two_processes_score_what_one_does(unscored):
    whole = ("--trainer.limit_test_batches", "null", "--trainer.accelerator", "cpu")
    found = []
    for devices, strategy in (("1", "auto"), ("2", "ddp")):
        processes = ("--trainer.devices", devices, "--trainer.strategy", strategy)
        words = ("test", str(unscored), *QUALITY, *whole, *processes)
        done = subprocess.run(
            [sys.executable, "-m", "lightning_gen", *words], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert "Warning" not in done.stderr
        found.append(cards(unscored)["test"])
    for name, card in found[0].items():
        assert found[1][name]["num_images"] == card["num_images"] == 2000
        assert found[1][name]["value"] == pytest.approx(card["value"], rel=1e-6)
        assert found[1][name]["standard_error"] == pytest.approx(card["standard_error"], rel=1e-6)
