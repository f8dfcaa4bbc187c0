"""``fit`` beside loops that are written by hand."""

import bare
import pytest
import torch
import usual_data

from lightning_gen.data import FashionMNIST, MiniFashionMNIST
from lightning_gen.models import VAE
from lightning_gen.networks import Dense
from lightning_gen.objectives import Bernoulli, Gaussian
from support.benchmarks import assert_describes_the_machine, assert_positive, assert_spread, run
from support.models import terms_of


@pytest.mark.slow
def test_throughput(tmp_path):
    sizes = ["--batches", "4", "--conv-batches", "2", "--repeats", "2"]
    results = run("throughput.py", tmp_path, *sizes)
    assert_describes_the_machine(results)
    assert results["settings"] == {"repeats": 2, "real_data": False}
    usual = {"dense, DataLoader", "dense, DataLoader with 2 workers"}
    assert set(results["fits"]) == {"conv", "dense"} | usual
    for name, fit in results["fits"].items():
        assert_positive(fit)
        for loop in ["bare"] if name in usual else ["bare", "tuned"]:
            assert_spread(fit[f"over_{loop}"])


PIXELS = 32


@pytest.fixture
def pixels():
    return MiniFashionMNIST().load_test().images[:PIXELS]


@pytest.mark.parametrize("kind", ["BareLoop", "TunedLoop", "CompiledLoop"])
def test_every_loop_minimises_the_models_own_loss(pixels, kind, monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda function, **options: function)
    model = VAE((1, 28, 28), latent_dim=3, architecture=Dense((8,)))
    loop = getattr(bare, kind)(model, pixels, batch_size=PIXELS)
    torch.manual_seed(1)
    expected = terms_of(model, loop.images, training_step=0).loss
    torch.manual_seed(1)
    torch.testing.assert_close(loop.loss(loop.images), expected)
    before = loop.loss(loop.images).item()
    loop.train(batches=20)
    assert loop.loss(loop.images).item() < before - 10


@pytest.mark.parametrize(
    ("likelihood", "nats", "constant"),
    [(Bernoulli(), "bernoulli", 0), (Gaussian(), "squared_error", 784 * 0.9189385)],
)
def test_reconstruction_is_the_likelihoods(pixels, likelihood, nats, constant):
    images, logits = pixels.float() / 255, torch.randn(PIXELS, 1, 28, 28)
    expected = -likelihood.log_prob(logits, images).sum() - PIXELS * constant
    torch.testing.assert_close(getattr(bare, nats)(logits, images), expected)


def test_loops_take_whole_batches_of_each_permutation(pixels):
    model = VAE((1, 28, 28), latent_dim=3, architecture=Dense((8,)))
    loop = bare.BareLoop(model, pixels, batch_size=10)
    batches = [batch.flatten(1).sum(1) for batch in loop.batches(7)]
    assert [len(batch) for batch in batches] == [10] * 7
    assert len(torch.cat(batches[:3]).unique()) == 30


def test_the_tiled_images_stand_in_for_what_is_not_there(tmp_path):
    tiled = usual_data.fashion_mnist(tmp_path)
    assert isinstance(tiled, usual_data.TiledMiniFashionMNIST)
    assert len(tiled.load_train()) == 60_000
    assert "usual_data.TiledMiniFashionMNIST" in usual_data.fashion_mnist_words(tmp_path)
    folder = FashionMNIST(str(tmp_path), download=False).folder
    folder.mkdir(parents=True)
    for name in FashionMNIST(str(tmp_path), download=False).md5s:
        (folder / name).touch()
    words = usual_data.fashion_mnist_words(tmp_path)
    assert words[:4] == ["--data", "lightning_gen.data.FashionMNIST", "--data.root", str(tmp_path)]
