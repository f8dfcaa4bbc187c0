"""The benchmarks run, at tiny sizes; what they measure depends on the machine."""

import pytest
import torch

from lightning_gen.data import MiniFashionMNIST
from support.benchmarks import BENCHMARKS, assert_describes_the_machine, assert_positive, run
from support.command import MINI_DATA, TWO_BATCHES


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
    results = run("latent_quality.py", tmp_path, "ae", "--mini", "--images", "500", "--lines", "20")
    assert_describes_the_machine(results)
    assert 0 < results["ae"]["laplacian_variance_share"] < 0.5
    assert_positive(results["ae"])


@pytest.mark.slow
def test_kills(tmp_path):
    """One kill of each family but the last, which starts two processes."""
    words = ("--kills", "3", "--families", "VAE", "VQVAE", "DCGAN")
    results = run("kills.py", tmp_path, *words)
    for family in words[3:]:
        assert results[family]["kills"] == results[family]["survived"] == 1
        assert results[family]["differences"] == []
