"""The benchmarks run, at tiny sizes; what they measure depends on the machine."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

from lightning_gen.data import CelebA, MiniFashionMNIST
from lightning_gen.features import TrainedClassifier
from lightning_gen.models import VAE
from lightning_gen.networks import Dense
from lightning_gen.runs import RunDirectory
from support.command import MINI_DATA, NO_PICTURES, TWO_BATCHES
from support.models import terms_of

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def run(script, tmp_path, *words):
    """What the benchmark writes."""
    file = tmp_path / "results.json"
    command = [sys.executable, BENCHMARKS / script, "--json", file, *words]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run(command, cwd=tmp_path, env=environment, check=True)
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


def assert_describes_the_machine(results):
    assert set(results["machine"]) == {"date", "device", "threads", "torch"}
    assert results["machine"]["threads"] == 1


@pytest.mark.slow
def test_throughput(tmp_path):
    sizes = ["--batches", "4", "--conv-batches", "2", "--repeats", "2", "--threads", "1"]
    results = run("throughput.py", tmp_path, *sizes)
    assert_describes_the_machine(results)
    assert results["settings"] == {
        "batch_size": 128,
        "repeats": 2,
        "batches": 4,
        "conv_batches": 2,
        "real_data": False,
    }
    usual = {f"dense, DataLoader with {workers} workers" for workers in (0, 2)}
    assert set(results["fits"]) == {"conv", "dense"} | usual
    for name, fit in results["fits"].items():
        assert_positive(fit)
        assert {"images_per_second", "over_bare", "epoch_over_bare", "target"} <= set(fit)
        assert ("dense_over_this" in fit) == (name in usual)
        assert fit["over_bare"]["min"] <= fit["over_bare"]["median"] <= fit["over_bare"]["max"]


@pytest.mark.slow
def test_memory(tmp_path):
    results = run("memory.py", tmp_path, "--mini", "--epochs", "1", "--batches", "2")
    assert_describes_the_machine(results)
    assert set(results) == {"machine", "fit_gb", "target_gb", "imports_gb"}
    assert_positive({name: value for name, value in results.items() if name != "machine"})
    assert results["fit_gb"] > results["imports_gb"]["all imports of fit"]


@pytest.mark.slow
def test_loading(tmp_path):
    sizes = ["--images", "60", "--large-images", "2", "--repeats", "2", "--workers", "1"]
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
    assert results["epochs"]["cache"]["target"] == 10
    assert_positive(results["epochs"])
    assert_positive(results["decoding"])
    errors = [row["psnr_db"] for name, row in results["decoding"].items() if name != "full scale"]
    assert errors == sorted(errors)


def test_the_bare_loop_minimises_the_models_own_loss(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    from throughput import BareLoop

    pixels = MiniFashionMNIST().load_test().images[:32]
    model = VAE((1, 28, 28), latent_dim=3, architecture=Dense((8,)))
    loop = BareLoop(model, pixels)
    torch.manual_seed(1)
    expected = terms_of(model, loop.images, training_step=0).loss
    torch.manual_seed(1)
    torch.testing.assert_close(loop.loss(loop.images), expected)
    before = loop.loss(loop.images).item()
    for _ in range(20):
        loop.train(batches=1)
    assert loop.loss(loop.images).item() < before - 10


def test_drawn_faces_are_a_celeba(tmp_path):
    words = [sys.executable, str(BENCHMARKS / "drawn_faces.py"), "--images", "10"]
    subprocess.run([*words, "--root", str(tmp_path)], check=True, timeout=120)
    data = CelebA(root=str(tmp_path), image_size=32)
    assert data.image_shape == (3, 32, 32)
    assert {"Eyeglasses", "Smiling", "Blond_Hair"} <= set(data.factor_names)
    data.setup("fit")
    data.setup("test")
    batch = next(iter(data.train_dataloader()))
    assert len(batch.images) == 8
    assert len(next(iter(data.test_dataloader())).images) == 1
    assert batch.images.float().std() > 20


@pytest.mark.slow
def test_real_images_beat_the_samples_of_an_untrained_model(tmp_path, command):
    arguments = ("--model", "CVAE", "--model.architecture", "Dense", "--data", "MiniFashionMNIST")
    limits = ("--trainer.max_epochs", 1, "--trainer.limit_train_batches", 1)
    assert command("fit", *arguments, *limits, "--name", "cvae").code == 0
    directory = tmp_path / "logs" / "cvae" / "version_0"
    results = run("sample_quality.py", tmp_path, str(directory), "--mini", "--images", "1000")
    assert_describes_the_machine(results)
    judged = results[str(directory)]
    assert judged["frechet_distance"] > 3 * results["frechet_distance_of_training_images"]
    assert sum(judged["class_shares"]) == pytest.approx(1)
    assert 0 <= judged["class_agreement"] <= 1


class Identity:
    """A model whose code is the image itself."""

    def encode(self, images):
        return images.flatten(1)

    def decode(self, codes):
        return codes.view(-1, 1, 28, 28)


def test_a_model_that_keeps_all_is_sharp_and_even(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    import latent_quality
    from sample_quality import Judge

    data = MiniFashionMNIST()
    images = data.load_test().images[:200].float() / 255
    found = latent_quality.sharpness(Identity(), images)
    assert found["laplacian_variance_share"] == pytest.approx(1)
    assert found["mean_squared_error"] == 0
    blurred = torch.nn.functional.avg_pool2d(images, 3, 1, padding=1)
    assert (
        latent_quality.laplacian_variance(blurred) < latent_quality.laplacian_variance(images)
    ).all()
    judge = Judge(images)
    with torch.no_grad():
        path = latent_quality.continuity(Identity(), images, 20, judge)
    assert path["largest_by_mean_step"] == pytest.approx(1, abs=1e-3)


@pytest.mark.slow
def test_latent_quality(tmp_path, command):
    words = ("--model", "AE", "--model.latent_dim", 2, "--model.architecture", "Dense")
    assert command("fit", *words, *MINI_DATA, *TWO_BATCHES, "--name", "ae").code == 0
    results = run(
        "latent_quality.py",
        tmp_path,
        "ae",
        *("--mini", "--images", "500", "--lines", "20"),
    )
    assert_describes_the_machine(results)
    assert 0 < results["ae"]["laplacian_variance_share"] < 0.5
    assert_positive(results["ae"])


def test_a_trained_classifier_can_be_shipped(tmp_path, command):
    words = ("--model", "Classifier", "--model.widths", "[4, 8]", *MINI_DATA, *TWO_BATCHES)
    assert command("fit", *words, *NO_PICTURES, "--name", "mine").code == 0
    script = [sys.executable, BENCHMARKS / "ship_classifier.py", "mine", "--folder", tmp_path]
    subprocess.run(script, cwd=tmp_path, check=True)
    extractor = TrainedClassifier(str(tmp_path / "mine.ckpt"))
    assert (extractor.name, extractor.feature_dim) == ("mine", 8)
    run = RunDirectory.of(tmp_path / "logs" / "mine" / "version_0")
    weights = torch.load(run.best, weights_only=True)["state_dict"]
    torch.testing.assert_close(extractor.network.head.weight, weights["network.head.weight"])
    about = yaml.safe_load((tmp_path / "mine.yaml").read_text())
    assert about["config"]["model"]["init_args"]["widths"] == [4, 8]
    assert 0 <= about["test_accuracy"] <= 1
