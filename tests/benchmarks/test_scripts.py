"""The benchmarks run, at tiny sizes; what they measure depends on the machine."""

import os
import subprocess

import pytest
import torch
from time_to_quality import Run, summarise

from support.benchmarks import (
    BENCHMARKS,
    assert_describes_the_machine,
    assert_positive,
    assert_spread,
    run,
)
from support.command import MINI_DATA, TWO_BATCHES

CACHED = ("cache", "cache, next run", "cache, too large for memory", "no cache, workers")
STARTS = ("python", "import torch", "import torch, lightning.pytorch", "first training step")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "words", "part", "names"),
    [
        ("against_pythae", "--batches 3 --conv-batches 2 --repeats 2", "fits", ("dense", "conv")),
        ("loading", "--images 60 --repeats 2 --workers 1", "epochs", CACHED),
        ("startup", "--repeats 1", "waits", STARTS),
        ("time_to_quality", "--repeats 1 --batches 2 --accelerator cpu", "shipped", ("seconds",)),
    ],
)
def test_it_runs_and_measures(script, words, part, names, tmp_path):
    if script == "against_pythae":
        pytest.importorskip("pythae")
    results = run(f"{script}.py", tmp_path, *words.split())
    assert_describes_the_machine(results)
    assert set(names) <= set(results[part])
    assert_positive(results[part])


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="on a GPU it takes its full sizes")
def test_what_is_asked_of_a_gpu_in_small_without_one(tmp_path, capfd):
    results = run("gpu.py", tmp_path, "--repeats", "1")
    assert "no GPU was measured" in capfd.readouterr().out
    assert_describes_the_machine(results)
    assert results["settings"]["on_a_gpu"] is False
    vaes = {f"{name} VAE, batch 64" for name in ("dense", "conv")}
    usual = {f"{name}, DataLoader" for name in vaes}
    assert set(results["fits"]) == {*vaes, *usual, "ResVAE", "ResVAE, compiled"}
    for name, found in results["fits"].items():
        others = "compiled" if "ResVAE" in name else "tuned"
        for loop in ("bare",) if name in usual else ("bare", others):
            assert_spread(found[f"over_{loop}"])


def test_a_step_without_time_is_said_to_be_skipped(tmp_path):
    """The script as a whole is run by hand, DEVICE=cpu: it takes minutes."""
    script = ["bash", BENCHMARKS / "gpu_day.sh", tmp_path / "results"]
    environment = os.environ | {"TOTAL": "0", "DEVICE": "cpu", "TMPDIR": str(tmp_path)}
    subprocess.run(script, env=environment, check=True, capture_output=True)
    rows = (tmp_path / "results" / "summary.tsv").read_text().splitlines()
    steps = {row.split("\t")[0]: row.split("\t")[1] for row in rows}
    assert {"quickstart", "quickstart report", "VQVAE bf16-mixed", "same weights"} <= set(steps)
    assert {"throughput", "time to quality", "samples of the gan"} <= set(steps)
    assert set(steps.values()) == {"skipped"}
    assert [path.name for path in tmp_path.iterdir()] == ["results"], "something was left behind"


def test_a_ratio_is_to_the_runs_before_and_after():
    runs = {
        "shipped": [Run(10, 239, 11), Run(30, 241, 31), *[Run(10, 240, 11)] * 2],
        "plain": [Run(100, 243, 101), Run(200, 243, 201)],
    }
    results = summarise(runs)
    assert results["plain_over_shipped"] == {"median": 12.5, "min": 5, "max": 20}
    assert results["shipped"]["seconds"] == {"median": 10, "min": 10, "max": 30}
    assert results["shipped"]["nats"] == 240


@pytest.mark.slow
def test_real_images_beat_the_samples_of_an_untrained_model(tmp_path, command):
    arguments = ("--model", "CVAE", "--model.architecture", "Dense", "--data", "MiniFashionMNIST")
    limits = ("--trainer.max_epochs", 1, "--trainer.limit_train_batches", 1)
    assert command("fit", *arguments, *limits, "--name", "cvae").code == 0
    directory = tmp_path / "logs" / "cvae" / "version_0"
    results = run("sample_quality.py", tmp_path, str(directory), "--mini", "--images", "1000")
    assert_describes_the_machine(results)
    judged = results[str(directory)]
    real = results["frechet_distance_of_training_images"]["frechet_distance"]
    assert judged["frechet_distance"] > 3 * real
    assert sum(judged["class_shares"]) == pytest.approx(1)
    assert 0 <= judged["class_agreement"] <= 1


@pytest.mark.slow
def test_latent_quality(tmp_path, command):
    words = ("--model", "AE", "--model.latent_dim", 2, "--model.architecture", "Dense")
    assert command("fit", *words, *MINI_DATA, *TWO_BATCHES, "--name", "ae").code == 0
    results = run("latent_quality.py", tmp_path, "ae", "--mini", "--images", 500, "--lines", 20)
    assert_describes_the_machine(results)
    assert 0 < results["ae"]["laplacian_variance_share"] < 0.5
    assert_positive(results["ae"])
